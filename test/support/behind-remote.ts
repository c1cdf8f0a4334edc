// What the conformance checks do behind the back of a driver over remote storage.
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { BenchParts } from "../../src/conformance/driver-bench.ts";
import type { OwnPlaces } from "../../src/conformance/own-places.ts";

/** `volumes`: the driver's `<root>/remote/<driver>`; `served`: the server's, on this host. */
export function behindRemote({
  volumes,
  served,
  placeOf,
}: {
  readonly volumes: string;
  readonly served: string;
  readonly placeOf: OwnPlaces["placeOf"];
}): Pick<BenchParts, "plant" | "breakStorage" | "beginPurge" | "hideStorage"> {
  return {
    async plant(name) {
      const data = join(served, placeOf(name));
      mkdirSync(data, { recursive: true });
      writeFileSync(join(data, "planted"), "somebody else's");
      return join(data, "planted");
    },
    async breakStorage(name) {
      rmSync(join(served, placeOf(name)), { recursive: true });
    },
    async beginPurge(id) {
      renameSync(join(volumes, ".trash", id), join(volumes, ".trash", `${id}.purging`));
    },
    async hideStorage() {
      renameSync(volumes, `${volumes}-hidden`);
      return {
        async [Symbol.asyncDispose]() {
          if (existsSync(`${volumes}-hidden`)) renameSync(`${volumes}-hidden`, volumes);
        },
      };
    },
  };
}
