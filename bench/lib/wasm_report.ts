export interface WasmReport {
  readonly scanOverAvx2: number | undefined;
}
