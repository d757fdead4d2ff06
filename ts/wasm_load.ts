import { WasmBackend } from './backend_wasm.js';
import { AnnexError } from './errors.js';
import { Core } from './wasm_core.js';

/** What `init()` of annex/wasm takes: the module annex.wasm, its bytes, or where to fetch them. */
export type WasmSource = WebAssembly.Module | BufferSource | Response | PromiseLike<Response> | URL | string;

/** A backend on `module`, at once; undefined where the page's own thread may only instantiate asynchronously. */
export function backendOfModule(module: WebAssembly.Module): WasmBackend | undefined {
  try {
    return new WasmBackend(Core.fromModule(module));
  } catch (cause) {
    if (cause instanceof RangeError) return undefined;
    throw unusable(cause);
  }
}

/** A backend on the bytes of annex.wasm, at once, where {@link backendOfModule} may. */
export function backendOfBytes(bytes: BufferSource): WasmBackend | undefined {
  let module: WebAssembly.Module;
  try {
    module = new WebAssembly.Module(bytes);
  } catch (cause) {
    if (cause instanceof RangeError) return undefined;
    throw unusable(cause);
  }
  return backendOfModule(module);
}

export async function loadBackend(source: WasmSource): Promise<WasmBackend> {
  const module = await compile(await source);
  try {
    return new WasmBackend(await Core.load(module));
  } catch (cause) {
    throw unusable(cause);
  }
}

async function compile(source: Awaited<WasmSource>): Promise<WebAssembly.Module> {
  if (source instanceof WebAssembly.Module) return source;
  if (typeof source === 'string' || source instanceof URL) return compileResponse(await fetchModule(source));
  if (typeof Response !== 'undefined' && source instanceof Response) return compileResponse(source);
  try {
    return await WebAssembly.compile(source as BufferSource);
  } catch (cause) {
    throw unusable(cause);
  }
}

const REMEDY =
  'see that the server or bundler serves annex.wasm next to the JavaScript (with Vite in development: ' +
  "optimizeDeps: { exclude: ['annex'] }), or pass its URL or bytes to `await init(…)` of annex/wasm";

async function fetchModule(url: string | URL): Promise<Response> {
  try {
    return await fetch(url);
  } catch (cause) {
    throw new AnnexError('IO', `expected the WebAssembly core at ${url}, but it could not be fetched: ${REMEDY}`, {
      cause,
    });
  }
}

async function compileResponse(response: Response): Promise<WebAssembly.Module> {
  const type = response.headers.get('content-type') ?? 'of no type';
  const got = `${response.status} ${type}`;
  if (!response.ok) {
    throw new AnnexError('IO', `expected the WebAssembly core at ${response.url}, got ${got}: ${REMEDY}`);
  }
  try {
    // Streaming is for the type application/wasm only, which not every server sends.
    const streams = /^application\/wasm\b/i.test(type) && typeof WebAssembly.compileStreaming === 'function';
    return await (streams ? WebAssembly.compileStreaming(response) : WebAssembly.compile(await response.arrayBuffer()));
  } catch (cause) {
    if (!supportsSimd()) throw unusable(cause);
    throw new AnnexError('IO', `expected the WebAssembly core at ${response.url}, got ${got}: ${REMEDY}`, { cause });
  }
}

/** An engine without 128-bit SIMD cannot compile the core, whatever its bytes. */
function supportsSimd(): boolean {
  // (func (result v128) i32.const 0 i8x16.splat)
  const bytes = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 8, 1, 6, 0, 65, 0, 253, 15, 11];
  return WebAssembly.validate(new Uint8Array(bytes));
}

function unusable(cause: unknown): AnnexError {
  if (cause instanceof AnnexError) return cause;
  const got = cause instanceof Error ? cause.message : String(cause);
  if (cause instanceof RangeError) {
    return new AnnexError('OUT_OF_MEMORY', `expected memory for the WebAssembly core, got: ${got}: free some first`, {
      cause,
    });
  }
  if (!supportsSimd()) {
    return new AnnexError(
      'UNSUPPORTED',
      'expected an engine with WebAssembly SIMD (Chrome 91, Firefox 89, Safari 16.4, Node.js 16.4 or newer), and this ' +
        'one has none: update it',
      { cause },
    );
  }
  return new AnnexError(
    'INTERNAL',
    `expected the bytes or module of annex.wasm of this version, got what cannot be started: ${got}`,
    { cause },
  );
}
