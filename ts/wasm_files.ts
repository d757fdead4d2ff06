import type { BackendIndex, BackendOpener, BackendSaver, StepProgress } from './backend.js';
import { AnnexError } from './errors.js';
import { inTurn, type Turns } from './turns.js';
import type { Core } from './wasm_core.js';
import { finalizer, quietly } from './wasm_held.js';
import { progressAt } from './wasm_marshal.js';

/** Bytes pass through linear memory in portions of this many. */
const PORTION = 1 << 20;

const lostSavers = finalizer(({ core, pointer }) => core.abi.annex_saver_close(pointer));
const lostOpeners = finalizer(({ core, pointer }) => core.abi.annex_opener_close(pointer));

export function openSaver(core: Core, index: number, metadata: Uint8Array | null): BackendSaver {
  const bytes = metadata === null ? 0 : metadata.length;
  const at = core.reserve(16 + bytes);
  if (metadata !== null) core.u8.set(metadata, at + 16);
  core.check(core.abi.annex_saver_open(index, metadata === null ? 0 : at + 16, bytes, at));
  return new WasmSaver(core, core.u32[at >>> 2]!);
}

class WasmSaver implements BackendSaver {
  readonly #core: Core;
  #pointer: number;

  constructor(core: Core, pointer: number) {
    this.#core = core;
    this.#pointer = pointer;
    lostSavers?.register(this, { core, pointer }, this);
  }

  size(): number {
    return this.#core.abi.annex_saver_size(this.#open());
  }

  read(out: Uint8Array): number {
    const core = this.#core;
    const saver = this.#open();
    let done = 0;
    while (done < out.length) {
      const room = Math.min(PORTION, out.length - done);
      const at = core.reserve(8 + room);
      core.check(core.abi.annex_saver_read(saver, at + 8, room, at));
      const written = core.u32[at >>> 2]!;
      out.set(core.u8.subarray(at + 8, at + 8 + written), done);
      done += written;
      if (written < room) break;
    }
    return done;
  }

  step(): StepProgress {
    throw new AnnexError('UNSUPPORTED', 'WebAssembly writes no files: read the bytes');
  }

  async stepAsync(): Promise<StepProgress> {
    return this.step();
  }

  close(): void {
    const pointer = this.#pointer;
    if (pointer === 0) return;
    this.#pointer = 0;
    lostSavers?.unregister(this);
    quietly(() => this.#core.abi.annex_saver_close(pointer));
  }

  #open(): number {
    if (this.#pointer === 0) throw new AnnexError('CLOSED', 'the saver was closed');
    return this.#pointer;
  }
}

export function openOpener(
  core: Core,
  turns: Turns,
  flags: number,
  bytes: number,
  indexOf: (pointer: number) => BackendIndex,
): BackendOpener {
  const at = core.reserve(8);
  core.check(core.abi.annex_opener_open(flags, at));
  const pointer = core.u32[at >>> 2]!;
  core.check(core.abi.annex_opener_expect(pointer, bytes));
  return new WasmOpener(core, turns, pointer, indexOf);
}

class WasmOpener implements BackendOpener {
  readonly #core: Core;
  readonly #turns: Turns;
  readonly #indexOf: (pointer: number) => BackendIndex;
  #pointer: number;

  constructor(core: Core, turns: Turns, pointer: number, indexOf: (pointer: number) => BackendIndex) {
    this.#core = core;
    this.#turns = turns;
    this.#pointer = pointer;
    this.#indexOf = indexOf;
    lostOpeners?.register(this, { core, pointer }, this);
  }

  append(bytes: Uint8Array): void {
    const core = this.#core;
    const opener = this.#open();
    for (let done = 0; done < bytes.length; done += PORTION) {
      const part = bytes.subarray(done, done + PORTION);
      const at = core.reserve(part.length);
      core.u8.set(part, at);
      core.check(core.abi.annex_opener_append(opener, at, part.length));
    }
  }

  step(): StepProgress {
    const core = this.#core;
    const opener = this.#open();
    return progressAt(core, (at) => core.abi.annex_opener_step(opener, 0, at));
  }

  async stepAsync(signal?: AbortSignal): Promise<StepProgress> {
    return inTurn(this.#turns, () => this.step(), signal);
  }

  metadata(): Uint8Array {
    const core = this.#core;
    const opener = this.#open();
    const bytes = core.abi.annex_opener_metadata(opener, 0, 0) >>> 0;
    const at = core.reserve(bytes);
    core.abi.annex_opener_metadata(opener, at, bytes);
    return core.u8.slice(at, at + bytes);
  }

  finish(): BackendIndex {
    const core = this.#core;
    const opener = this.#open();
    const at = core.reserve(8);
    core.check(core.abi.annex_opener_finish(opener, at));
    return this.#indexOf(core.u32[at >>> 2]!);
  }

  close(): void {
    const pointer = this.#pointer;
    if (pointer === 0) return;
    this.#pointer = 0;
    lostOpeners?.unregister(this);
    quietly(() => this.#core.abi.annex_opener_close(pointer));
  }

  #open(): number {
    if (this.#pointer === 0) throw new AnnexError('CLOSED', 'the opener was closed');
    return this.#pointer;
  }
}
