// Run on the client machine: the conformance checks of a driver over a server of the lab. Prints an
// outcome a line, as JSON.
//
// `conformance-run nfs|smb SHARED [OPTIONS]…`: the server's directory (the machine has the host's
// /, and so it reaches behind the driver's back), and sets of options as JSON.
// Helpers work in this process: to start the runtime takes up to a second on that machine, and the
// checks need it hundreds of times. The tests with a daemon have the real ones.
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { runCheck } from "../../../src/conformance/check.ts";
import { type BenchParts, openDriverBench } from "../../../src/conformance/driver-bench.ts";
import { ownPlaces } from "../../../src/conformance/own-places.ts";
import { volumeDriverChecks } from "../../../src/conformance/volume-driver.ts";
import type { DriverOptions } from "../../../src/core/driver.ts";
import type { Host } from "../../../src/core/host.ts";
import { SecretValue } from "../../../src/core/secret-store.ts";
import { openBenchFiles } from "../../../src/daemon/bench-files.ts";
import { nfsDriver } from "../../../src/drivers/nfs/driver.ts";
import { smbDriver } from "../../../src/drivers/smb/driver.ts";
import { linuxHost } from "../../../src/host/linux.ts";
import { storageStep } from "../../../src/host/storage-step.ts";
import { behindRemote } from "../behind-remote.ts";
import { randomHex } from "../driver-benches.ts";

const place = "/mnt/conformance";
/** Some make twenty volumes, and a mount of NFS takes a second or two on that machine. */
const checkMs = 240_000;
const [kind = "", shared = "", ...sets] = process.argv.slice(2);
// What the test has sent.
const [first = {}, ...others] = sets.map((text) => JSON.parse(text) as DriverOptions);
const password = process.env["LAB_PASSWORD"] ?? "";
const leftBehind: string[] = [];
let benchCount = 0;

const only = (process.env["LAB_ONLY"] ?? "").split("|");
for (const check of volumeDriverChecks) {
  if (!only.some((beginning) => check.promise.startsWith(beginning))) continue;
  const startedMs = performance.now();
  const outcome = await runCheck(
    check,
    () => openDriverBench({ ...parts(), leftBehind: (what) => leftBehind.push(what) }),
    { timeoutMs: checkMs },
  );
  const reason = outcome.outcome === "broken" ? String(outcome.error) : undefined;
  const tookMs = Math.round(performance.now() - startedMs);
  console.log(JSON.stringify({ ...outcome, error: reason, tookMs }));
}
console.log(JSON.stringify({ leftBehind }));

/** Below a root of each bench's own, as a first start of the daemon. */
function parts(): BenchParts {
  benchCount += 1;
  const root = join(place, String(benchCount));
  mkdirSync(root, { recursive: true });
  const host: Host = {
    ...linuxHost(),
    async assist(request, operation) {
      operation.signal.throwIfAborted();
      return await storageStep(request);
    },
  };
  const secrets = { read: async () => new SecretValue(new TextEncoder().encode(password)) };
  const own = { root, runDirectory: join(root, "run"), host, secrets };
  const plain = kind === "nfs" ? nfsDriver(own) : smbDriver(own);
  const folder = `checks-${benchCount}`;
  const { driver, placeOf } = ownPlaces(plain, folder);
  const volumes = join(root, "remote", kind);
  return {
    driver,
    files: openBenchFiles(join(root, "bench")),
    optionSets: [first, ...others],
    randomHex,
    ...behindRemote({ volumes, served: shared, placeOf }),
    async release() {
      rmSync(join(shared, folder), { recursive: true, force: true });
    },
  };
}
