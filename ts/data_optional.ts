// Packages that the user installs where they are wanted.
import { AnnexError } from './errors.js';

/** Loads a package that is no dependency of this one; what it is wanted for stands before the colon of the error. */
export async function needed<T>(what: string, name: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (cause) {
    const reason = (cause as { code?: string }).code === 'ERR_MODULE_NOT_FOUND' ? '' : ` (${(cause as Error).message})`;
    throw new AnnexError('UNSUPPORTED', `${what}: this needs the package ${name}${reason}: npm install ${name}`, {
      cause,
    });
  }
}
