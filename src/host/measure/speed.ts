// How long storage takes to make something durable, and how many small files it takes a second.
import { closeSync, fsyncSync, openSync, writeFileSync, writeSync } from "node:fs";
import { type Bench, type Measures, type Outcome, yes } from "./outcome.ts";

const SYNC_COUNT = 100;
const SYNC_MS_MAX = 2_000;
const SYNC_BYTES = 4096;
const FILE_COUNT = 300;
const FILES_MS_MAX = 1_500;
const FILE_BYTES = 100;
/** What a quick run does of all that. */
const QUICK_SHARE = 0.2;

export const speedMeasures: Measures = {
  fsync(bench) {
    const descriptor = openSync(bench.at("synced"), "wx");
    const block = Buffer.alloc(SYNC_BYTES, "s");
    let position = 0;
    try {
      return syncTimes(bench, () => {
        writeSync(descriptor, block, 0, block.length, position);
        position += block.length;
        fsyncSync(descriptor);
      });
    } finally {
      closeSync(descriptor);
    }
  },

  "fsync-directory"(bench) {
    const descriptor = openSync(bench.directory, "r");
    let index = 0;
    try {
      return syncTimes(bench, () => {
        writeFileSync(bench.at(`entry-${index++}`), "");
        fsyncSync(descriptor);
      });
    } finally {
      closeSync(descriptor);
    }
  },

  "small-files"({ at, isQuick }) {
    const share = isQuick ? QUICK_SHARE : 1;
    const content = Buffer.alloc(FILE_BYTES, "f");
    const startedMs = performance.now();
    const tookMs = () => performance.now() - startedMs;
    let count = 0;
    while (count < FILE_COUNT * share && tookMs() < FILES_MS_MAX * share) {
      writeFileSync(at(`small-${count++}`), content);
    }
    const rate = Math.round((count * 1000) / tookMs());
    return { ...yes(`${rate} a second`, `${count} files of ${FILE_BYTES} bytes`), figure: rate };
  },
};

/** The figure is the median in milliseconds. */
function syncTimes({ isQuick }: Bench, sync: () => void): Outcome {
  const share = isQuick ? QUICK_SHARE : 1;
  const times: number[] = [];
  const endMs = performance.now() + SYNC_MS_MAX * share;
  while (times.length < SYNC_COUNT * share && performance.now() < endMs) {
    const startedMs = performance.now();
    sync();
    times.push(performance.now() - startedMs);
  }
  times.sort((one, other) => one - other);
  const at = (share: number) => times[Math.floor((times.length - 1) * share)] ?? 0;
  const figure = at(0.5);
  const value = `p50 ${shown(figure)} ms, p99 ${shown(at(0.99))} ms`;
  return { ...yes(value, `${times.length} times`), figure };
}

function shown(ms: number): string {
  return ms < 10 ? ms.toFixed(2) : ms.toFixed(0);
}
