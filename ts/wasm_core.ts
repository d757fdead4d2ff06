import { AnnexError, errorOfStatus } from './errors.js';

/** Pointers and sizes are unsigned 32-bit numbers; functions return signed ones, so pointers want `>>> 0`. */
type Pointer = number;

/** What annex.wasm exports: the C ABI (native/api/annex.h). */
export interface Abi {
  annex_version(): Pointer;
  annex_isa(): Pointer;
  annex_isa_note(): Pointer;
  annex_threads(): number;
  annex_last_error(): Pointer;
  annex_alloc(bytes: number): Pointer;
  annex_free(pointer: Pointer): void;
  annex_create(options: Pointer, pairs: number, out: Pointer): number;
  annex_retain(index: Pointer): void;
  annex_release(index: Pointer): void;
  annex_size(index: Pointer): number;
  annex_next_id(index: Pointer): number;
  annex_options(index: Pointer, out: Pointer, pairs: number): number;
  annex_stats(index: Pointer, out: Pointer): void;
  annex_writer_open(index: Pointer, mode: number, out: Pointer): number;
  annex_writer_append(writer: Pointer, type: number, rows: Pointer, n: number, ids: Pointer, cancel: Pointer): number;
  annex_writer_step(writer: Pointer, cancel: Pointer, progress: Pointer): number;
  annex_writer_commit(writer: Pointer): number;
  annex_writer_abort(writer: Pointer): void;
  annex_remove(index: Pointer, ids: Pointer, n: number, removed: Pointer): number;
  annex_has(index: Pointer, ids: Pointer, n: number, found: Pointer): number;
  annex_get(index: Pointer, ids: Pointer, n: number, rows: Pointer, found: Pointer): number;
  annex_ids(index: Pointer, start: number, n: number, out: Pointer): number;
  annex_search(index: Pointer, search: Pointer): number;
  annex_divisible(index: Pointer): number;
  annex_saver_open(index: Pointer, metadata: Pointer, bytes: number, out: Pointer): number;
  annex_saver_size(saver: Pointer): number;
  annex_saver_read(saver: Pointer, buffer: Pointer, room: number, written: Pointer): number;
  annex_saver_close(saver: Pointer): void;
  annex_opener_open(flags: number, out: Pointer): number;
  annex_opener_expect(opener: Pointer, bytes: number): number;
  annex_opener_append(opener: Pointer, bytes: Pointer, n: number): number;
  annex_opener_step(opener: Pointer, cancel: Pointer, progress: Pointer): number;
  annex_opener_metadata(opener: Pointer, out: Pointer, room: number): number;
  annex_opener_finish(opener: Pointer, out: Pointer): number;
  annex_opener_close(opener: Pointer): void;
}

interface RawExports extends Abi {
  readonly memory: WebAssembly.Memory;
  _initialize(): void;
}

/** Scratch memory is kept between calls up to this many bytes. */
const KEEP = 8 << 20;
const SCRATCH_STEP = 64 << 10;
/** An allocation can never be larger than linear memory: one page short of 4 GiB (wasm/wasm.cmake). */
const MAX_BYTES = 65535 * 65536;

/**
 * One instance of annex.wasm: its functions, its memory seen as typed arrays, and a scratch area through which
 * arguments and results pass.
 */
export class Core {
  /** The C ABI. A trap inside throws INTERNAL, and from then on so does every call. */
  readonly abi: Abi;
  readonly #memory: WebAssembly.Memory;
  // Views of linear memory; made anew whenever it grows, so never kept across a call.
  u8!: Uint8Array<ArrayBuffer>;
  i8!: Int8Array<ArrayBuffer>;
  i32!: Int32Array<ArrayBuffer>;
  u32!: Uint32Array<ArrayBuffer>;
  f32!: Float32Array<ArrayBuffer>;
  f64!: Float64Array<ArrayBuffer>;
  #scratch: Pointer = 0;
  #capacity = 0;
  #failure: AnnexError | undefined;

  private constructor(exports: RawExports, onGrowth: { refresh(): void }) {
    this.#memory = exports.memory;
    this.abi = this.#guarded(exports);
    this.#refresh();
    onGrowth.refresh = () => this.#refresh();
    try {
      exports._initialize();
    } catch (cause) {
      throw this.#fail(cause);
    }
  }

  /** Instantiates at once; browsers refuse that on the page's own thread for modules of some size. */
  static fromModule(module: WebAssembly.Module): Core {
    const growth = { refresh() {} };
    const instance = new WebAssembly.Instance(module, importsOf(growth));
    return new Core(instance.exports as unknown as RawExports, growth);
  }

  static async load(module: WebAssembly.Module): Promise<Core> {
    const growth = { refresh() {} };
    const instance = await WebAssembly.instantiate(module, importsOf(growth));
    return new Core(instance.exports as unknown as RawExports, growth);
  }

  /** Throws the error of a failed call. */
  check(status: number): void {
    if (status !== 0) throw this.error(status);
  }

  /** The error of the call that has just failed with `status`. */
  error(status: number): AnnexError {
    return errorOfStatus(status, this.string(this.abi.annex_last_error()));
  }

  /** The C string at `pointer`. */
  string(pointer: Pointer): string {
    const start = pointer >>> 0;
    return new TextDecoder().decode(this.u8.subarray(start, this.u8.indexOf(0, start)));
  }

  /**
   * `bytes` of memory, aligned to 8, for the arguments and results of one call; the next reservation may take the same
   * place. Throws OUT_OF_MEMORY.
   */
  reserve(bytes: number): Pointer {
    if (bytes > this.#capacity) this.#grow(bytes);
    return this.#scratch;
  }

  /** Gives back a scratch area that an unusually large call has left. */
  trim(): void {
    if (this.#capacity > KEEP) this.#drop();
  }

  #grow(bytes: number): void {
    this.#drop();
    const wanted = Math.ceil(bytes / SCRATCH_STEP) * SCRATCH_STEP;
    const pointer = wanted > MAX_BYTES ? 0 : this.abi.annex_alloc(wanted) >>> 0;
    if (pointer === 0) {
      throw new AnnexError(
        'OUT_OF_MEMORY',
        `expected room for ${wanted} bytes of arguments and results, but the WebAssembly memory, of which ` +
          `${this.#memory.buffer.byteLength} bytes are in use, could not grow: pass less at a time, close indexes ` +
          'that are no longer needed, or use a narrower storage',
      );
    }
    this.#scratch = pointer;
    this.#capacity = wanted;
  }

  #drop(): void {
    if (this.#scratch !== 0) this.abi.annex_free(this.#scratch);
    this.#scratch = 0;
    this.#capacity = 0;
  }

  #refresh(): void {
    const { buffer } = this.#memory;
    this.u8 = new Uint8Array(buffer);
    this.i8 = new Int8Array(buffer);
    this.i32 = new Int32Array(buffer);
    this.u32 = new Uint32Array(buffer);
    this.f32 = new Float32Array(buffer);
    this.f64 = new Float64Array(buffer);
  }

  #guarded(exports: RawExports): Abi {
    const guarded: Record<string, unknown> = {};
    for (const [name, value] of Object.entries(exports)) {
      if (typeof value === 'function') guarded[name] = this.#guard(value as (...args: number[]) => number);
    }
    return guarded as unknown as Abi;
  }

  #guard(call: (...args: number[]) => number): (...args: number[]) => number {
    return (...args) => {
      if (this.#failure !== undefined) throw this.#failure;
      try {
        return call(...args);
      } catch (cause) {
        throw this.#fail(cause);
      }
    };
  }

  /** After a trap nothing is known of the heap: refuse everything from here on. */
  #fail(cause: unknown): AnnexError {
    this.#failure = new AnnexError(
      'INTERNAL',
      `the WebAssembly core has stopped (${cause instanceof Error ? cause.message : String(cause)}) and its indexes ` +
        'are lost: load the page or start the worker anew, and please report what led here',
      { cause },
    );
    return this.#failure;
  }
}

function importsOf(growth: { refresh(): void }): WebAssembly.Imports {
  return {
    env: { emscripten_notify_memory_growth: () => growth.refresh() },
    wasi_snapshot_preview1: {
      proc_exit: (code: number) => {
        throw new Error(`exit ${code}`);
      },
    },
  };
}
