import { AnnexError } from './errors.js';

/** A file to read. */
export interface ReadFile {
  readonly size: number;
  /** Up to `n` bytes from `at` on; fewer only at the end of the file. */
  read(at: number, n: number): Uint8Array;
  readAsync(at: number, n: number): Promise<Uint8Array>;
  close(): void;
}

/** A file that comes into being at its path at once and whole, or not at all. */
export interface WriteFile {
  write(bytes: Uint8Array): void;
  writeAsync(bytes: Uint8Array): Promise<void>;
  commit(): void;
  commitAsync(): Promise<void>;
  /** Idempotent, and allowed after commit. */
  discard(): void;
}

/** The file system, for cores that have none of their own. */
export interface Disk {
  open(path: string): ReadFile;
  create(path: string): WriteFile;
}

type Fs = typeof import('node:fs');

/** The file system of Node.js and its like, asked for at run time; undefined where there is none. */
export function disk(): Disk | undefined {
  const fs = globalThis.process?.getBuiltinModule?.('node:fs');
  if (fs === undefined) return undefined;
  return { open: (path) => new OpenFile(fs, path), create: (path) => new Replacement(fs, path) };
}

export function failed(path: string, what: string, cause: unknown): AnnexError {
  if (cause instanceof AnnexError) return cause;
  return new AnnexError('IO', `${path}: ${what}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
}

class OpenFile implements ReadFile {
  readonly #fs: Fs;
  readonly #path: string;
  readonly size: number;
  #file: number | undefined;

  constructor(fs: Fs, path: string) {
    this.#fs = fs;
    this.#path = path;
    try {
      // Not to wait for the other end of a pipe.
      this.#file = fs.openSync(path, fs.constants.O_RDONLY | (fs.constants.O_NONBLOCK ?? 0));
      const facts = fs.fstatSync(this.#file);
      if (!facts.isFile()) {
        const what = facts.isDirectory() ? 'a directory' : 'no regular file: read its bytes and open those';
        throw new AnnexError('IO', `${path}: expected a file, and it is ${what}`);
      }
      this.size = facts.size;
    } catch (cause) {
      this.close();
      throw failed(path, 'cannot be opened', cause);
    }
  }

  read(at: number, n: number): Uint8Array {
    const out = new Uint8Array(n);
    let done = 0;
    try {
      while (done < n) {
        const got = this.#fs.readSync(this.#file as number, out, done, n - done, at + done);
        if (got === 0) break;
        done += got;
      }
    } catch (cause) {
      throw failed(this.#path, 'cannot be read', cause);
    }
    return out.subarray(0, done);
  }

  async readAsync(at: number, n: number): Promise<Uint8Array> {
    const out = new Uint8Array(n);
    let done = 0;
    while (done < n) {
      const got = await new Promise<number>((resolve, reject) => {
        this.#fs.read(this.#file as number, out, done, n - done, at + done, (error, bytes) => {
          if (error === null) resolve(bytes);
          else reject(failed(this.#path, 'cannot be read', error));
        });
      });
      if (got === 0) break;
      done += got;
    }
    return out.subarray(0, done);
  }

  close(): void {
    const file = this.#file;
    if (file === undefined) return;
    this.#file = undefined;
    this.#fs.closeSync(file);
  }
}

let count = 0;

class Replacement implements WriteFile {
  readonly #fs: Fs;
  readonly #target: string;
  #temporary: string | undefined;
  #file: number | undefined;

  constructor(fs: Fs, path: string) {
    this.#fs = fs;
    this.#target = resolved(fs, path);
    try {
      const facts = fs.statSync(this.#target, { throwIfNoEntry: false });
      if (facts !== undefined && !facts.isFile()) {
        const what = facts.isDirectory() ? 'a directory' : 'something else';
        throw new AnnexError('IO', `${path}: expected the path of a file, and there is ${what}`);
      }
      const name = `${this.#target}.${globalThis.process.pid}-js${count++}.tmp`;
      this.#file = fs.openSync(name, 'wx');
      this.#temporary = name;
      if (facts !== undefined) fs.fchmodSync(this.#file, facts.mode & 0o7777);
    } catch (cause) {
      this.discard();
      throw failed(path, 'a file beside it, to be written first, cannot be created', cause);
    }
  }

  write(bytes: Uint8Array): void {
    try {
      for (let done = 0; done < bytes.length; ) {
        done += this.#fs.writeSync(this.#file as number, bytes, done, bytes.length - done);
      }
    } catch (cause) {
      throw failed(this.#target, 'cannot be written', cause);
    }
  }

  async writeAsync(bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      done += await new Promise<number>((resolve, reject) => {
        this.#fs.write(this.#file as number, bytes, done, bytes.length - done, null, (error, written) => {
          if (error === null) resolve(written);
          else reject(failed(this.#target, 'cannot be written', error));
        });
      });
    }
  }

  commit(): void {
    try {
      this.#fs.fsyncSync(this.#file as number);
      this.#rename();
    } catch (cause) {
      throw failed(this.#target, 'cannot be replaced', cause);
    }
  }

  async commitAsync(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#fs.fsync(this.#file as number, (error) => {
        if (error === null) resolve();
        else reject(failed(this.#target, 'cannot be made durable', error));
      });
    });
    try {
      this.#rename();
    } catch (cause) {
      throw failed(this.#target, 'cannot be replaced', cause);
    }
  }

  discard(): void {
    try {
      if (this.#file !== undefined) this.#fs.closeSync(this.#file);
      if (this.#temporary !== undefined) this.#fs.unlinkSync(this.#temporary);
    } catch {}
    this.#file = undefined;
    this.#temporary = undefined;
  }

  #rename(): void {
    const fs = this.#fs;
    fs.closeSync(this.#file as number);
    this.#file = undefined;
    fs.renameSync(this.#temporary as string, this.#target);
    this.#temporary = undefined;
    try {
      const slash = this.#target.lastIndexOf('/');
      const directory = fs.openSync(slash < 0 ? '.' : this.#target.slice(0, slash + 1), 'r');
      fs.fsyncSync(directory);
      fs.closeSync(directory);
    } catch {} // some systems cannot sync a directory, and then that is that
  }
}

/** A link stays a link: the file that it leads to is replaced. */
function resolved(fs: Fs, path: string): string {
  try {
    return fs.realpathSync(path);
  } catch {
    return path;
  }
}
