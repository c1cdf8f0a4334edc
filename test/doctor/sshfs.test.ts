// The doctor over a real sshd: a second client for what other hosts see, and warnings of databases.
import { expect } from "bun:test";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseHolderId } from "../../src/core/names.ts";
import { storageJudge } from "../../src/doctor/volume/judge.ts";
import { create, failureOf, named, startedEngine } from "../support/engine-bench.ts";
import { startSshServer } from "../support/labs/ssh-server.ts";
import { whenPossible } from "../support/needs.ts";
import { sshfsPlaces } from "../support/sshfs-parts.ts";
import { having, Storages, until } from "./storages.ts";

/** On a machine that does other things. */
const testMs = 60_000;

whenPossible(
  ["root", "fuse", "sshd", "sshfs"],
  "a volume of sshfs is measured by two",
  async () => {
    await using storages = new Storages();
    await using server = await startSshServer(join(storages.folder, "ssh"));
    const places = sshfsPlaces(server);
    await using _places = { [Symbol.asyncDispose]: () => places.release() };
    await using bench = await startedEngine({
      drivers: () => [places.open()],
      examining: { judge: storageJudge, afterCreateMs: 10, afterMountMs: 10 },
    });
    const { doctor, unfitData, volumes } = bench.engine;
    // Found, not made: the share itself.
    for (const folder of ["global", "base"]) mkdirSync(join(places.served, folder));
    writeFileSync(join(places.served, "PG_VERSION"), "15\n");
    const before = readdirSync(places.served);
    const request = named("files", { driver: "sshfs", options: places.options });
    const { name } = await create(bench, request);
    await until(() => unfitData.warningsOf(name).length > 0, "nobody was warned");
    expect(unfitData.warningsOf(name)[0]).toStartWith(
      "PostgreSQL 15 is on fuse.sshfs, which is unfit for it (waits-for-server: ",
    );
    await volumes.mount("files", parseHolderId("c1"), bench.operation());
    const report = await doctor.examine("files", { isQuick: true }, bench.operation());
    expect(report).toMatchObject({ hadSecondMount: true, ended: "" });
    expect(report.storage.fileSystem).toBe("fuse.sshfs");
    expect(having(report.measurements, "no")).toContain("posix-locks-elsewhere");
    expect(having(report.measurements, "yes")).toContain("posix-locks");
    expect(having(report.measurements, "unknown")).toEqual(
      having(report.measurements, "unknown").filter((each) => !each.endsWith("-elsewhere")),
    );
    expect(readdirSync(places.served)).toEqual(before);
    const mounts = bench.host.mounts().filter(({ target }) => target.startsWith(`${places.root}/`));
    expect(mounts).toHaveLength(1);
    await volumes.unmount("files", parseHolderId("c1"), bench.operation());
  },
  testMs,
);

whenPossible(
  ["root", "fuse", "sshd", "sshfs"],
  "a frozen server is refused in time, leaves no second mount, and is measured when it goes on",
  async () => {
    await using storages = new Storages();
    await using server = await startSshServer(join(storages.folder, "ssh"));
    const places = sshfsPlaces(server);
    await using _places = { [Symbol.asyncDispose]: () => places.release() };
    await using bench = await startedEngine({
      drivers: () => [places.open()],
      examining: { judge: storageJudge, silenceMsMax: 3_000 },
    });
    const { doctor, volumes } = bench.engine;
    await create(bench, named("files", { driver: "sshfs", options: places.options }));
    await volumes.mount("files", parseHolderId("c1"), bench.operation());
    await server.freeze();
    const startedMs = performance.now();
    const asking = doctor.examine("files", { isQuick: true }, bench.operation());
    expect((await failureOf(asking)).code).toBe("remote.unreachable");
    expect(performance.now() - startedMs).toBeLessThan(15_000);
    const mounts = () => bench.host.mounts().filter(({ target }) => target.startsWith(places.root));
    expect(mounts()).toHaveLength(1);
    await server.thaw();
    const again = await doctor.examine("files", { isQuick: true }, bench.operation());
    expect(again).toMatchObject({ ended: "", hadSecondMount: true });
    expect(mounts()).toHaveLength(1);
    await volumes.unmount("files", parseHolderId("c1"), bench.operation());
  },
  testMs,
);
