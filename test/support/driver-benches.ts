// Benches for the conformance checks of each driver, in a temporary folder of their own.
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BenchParts } from "../../src/conformance/driver-bench.ts";
import type { VolumeDriver } from "../../src/core/driver.ts";
import { openBenchFiles } from "../../src/daemon/bench-files.ts";
import { localDriver } from "../../src/drivers/local/driver.ts";
import { scratchDriver } from "../../src/drivers/scratch/driver.ts";
import { linuxHost } from "../../src/host/linux.ts";
import { withBreaker } from "../../src/layers/breaker.ts";
import { withDeadlines } from "../../src/layers/deadline.ts";

/** Memory is faster than the disk for many small files, where there is such a place. */
const temporaryRoot = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

/** A new, empty folder for one test. Whoever asks removes it. */
export function temporaryFolder(label: string): string {
  return mkdtempSync(join(temporaryRoot, `holdfast-${label}-`));
}

/** `bytes` random bytes as lower-case hex. */
export function randomHex(bytes: number): string {
  return randomBytes(bytes).toString("hex");
}

/** The scratch driver with every hook, in a folder that goes with the bench. */
export function scratchParts(): BenchParts & { readonly root: string } {
  const root = temporaryFolder("scratch");
  const driver = scratchDriver({ root, nowMs: Date.now, randomHex });
  const optionSets: BenchParts["optionSets"] = [{}, { note: "another" }];
  return {
    ...partsBelow(root, driver),
    root,
    optionSets,
    async plant(name) {
      const data = join(root, "volumes", name, "_data");
      mkdirSync(data, { recursive: true });
      writeFileSync(join(data, "planted"), "somebody else's");
      return join(data, "planted");
    },
  };
}

/** The scratch driver as the daemon surrounds drivers: nobody must notice. */
export function layeredParts(): BenchParts {
  const parts = scratchParts();
  const monotonicMs = () => performance.now();
  const inTime = withDeadlines(parts.driver, { monotonicMs });
  return { ...parts, driver: withBreaker(inTime, { monotonicMs, per: "volume" }) };
}

/** The local driver on plain directories, as every engine has it. */
export function localParts(): BenchParts {
  const root = temporaryFolder("local");
  const driver = localDriver({ root, host: linuxHost() });
  return { ...partsBelow(root, driver), optionSets: [{}, { size: "0" }] };
}

/** What drivers with Docker's layout have in common: `volumes/<name>/_data` below a root. */
function partsBelow(root: string, driver: VolumeDriver): BenchParts {
  const volumes = join(root, "volumes");
  const files = openBenchFiles(join(root, "bench"));
  return {
    driver,
    files,
    optionSets: [{}],
    randomHex,
    async breakStorage(name) {
      rmSync(join(volumes, name, "_data"), { recursive: true });
    },
    async beginPurge(id) {
      const place = join(root, "trash", `${id}.purging`);
      renameSync(join(root, "trash", id), place);
      rmSync(join(place, "_data"), { recursive: true });
    },
    async hideStorage() {
      renameSync(volumes, `${volumes}-hidden`);
      return {
        async [Symbol.asyncDispose]() {
          renameSync(`${volumes}-hidden`, volumes);
        },
      };
    },
    async release() {
      rmSync(root, { recursive: true, force: true });
    },
  };
}
