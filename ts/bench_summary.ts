// What a sweep comes to: medians of the repetitions.
import { spread } from './bench_measure.js';
import { MODES, type Sample, type SweepState } from './bench_state.js';

/** Medians; latencies, of single queries alone, in milliseconds. */
function median(samples: readonly Sample[]): Record<string, number> | undefined {
  if (samples.length === 0) return undefined;
  const of = (value: (sample: Sample) => number | undefined): number | undefined => {
    const values = samples.flatMap((sample) => value(sample) ?? []);
    return values.length === 0 ? undefined : spread(values).median;
  };
  const all = {
    queriesPerSecond: of(({ queriesPerSecond }) => queriesPerSecond),
    p50: of(({ latency }) => latency?.p50),
    p95: of(({ latency }) => latency?.p95),
    p99: of(({ latency }) => latency?.p99),
    p999: of(({ latency }) => latency?.p999),
  };
  return Object.fromEntries(Object.entries(all).filter((entry): entry is [string, number] => entry[1] !== undefined));
}

export function summary({ machine, dataset, k, repetitions, threads, systems }: SweepState): object {
  return {
    machine,
    dataset,
    k,
    repetitions,
    threads,
    systems: systems.map(({ label, version, build, skipped, points }) => ({
      label,
      version,
      skipped,
      build: build && {
        seconds: build.seconds,
        cpuSeconds: build.cpu,
        memoryBytes: build.held ?? build.bytes,
        fileBytes: build.fileBytes,
      },
      points: points.map(({ search, recall, samples }) => ({
        search,
        recall,
        ...Object.fromEntries(MODES.map((mode) => [mode, median(samples[mode])])),
      })),
    })),
  };
}
