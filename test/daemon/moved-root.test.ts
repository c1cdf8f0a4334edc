// A data root that was moved as a whole, and a damaged state that nobody has looked at yet.
import { afterEach, expect, test } from "bun:test";
import { mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseMountTable } from "../../src/host/mount-table.ts";
import { runToEnd } from "../support/child.ts";
import { startDaemon, temporaryDirectory } from "../support/daemon.ts";
import { whenPossible } from "../support/needs.ts";

const folders: string[] = [];

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

async function ask(socketPath: string, path: string, init: RequestInit = {}): Promise<unknown> {
  const answer = await fetch(`http://holdfast${path}`, { ...init, unix: socketPath });
  expect(answer.status).toBeLessThan(300);
  return answer.json();
}

test("volumes of a moved root are where they are found now, for good", async () => {
  const folder = temporaryDirectory();
  folders.push(folder);
  const before = join(folder, "before");
  const after = join(folder, "after");
  {
    await using daemon = await startDaemon({ root: before });
    for (const Name of ["first", "second"]) {
      await ask(daemon.socketPath, "/volumes/create", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ Name }),
      });
    }
  }
  rmSync(join(before, "volumes", "second"), { recursive: true });
  renameSync(before, after);
  for (const round of ["moved", "again"]) {
    await using daemon = await startDaemon({ root: after });
    for (const name of ["first", "second"]) {
      const volume = await ask(daemon.socketPath, `/volumes/${name}`);
      const Mountpoint = join(after, "volumes", name, "_data");
      expect({ round, volume }).toMatchObject({ round, volume: { Mountpoint } });
    }
  }
});

test("a damaged state that was put aside is told of until it is removed", async () => {
  const root = temporaryDirectory();
  folders.push(root);
  {
    await using _daemon = await startDaemon({ root });
  }
  writeFileSync(join(root, "state.db"), "this is no database");
  let aside = "";
  for (const _round of [1, 2]) {
    await using daemon = await startDaemon({ root });
    const info = await ask(daemon.socketPath, "/info");
    const warnings = JSON.stringify(info);
    const found = /state\.db\.damaged-\w+/.exec(warnings)?.[0];
    expect(found).toBeString();
    aside = found ?? "";
  }
  rmSync(join(root, aside));
  await using daemon = await startDaemon({ root });
  expect(await ask(daemon.socketPath, "/info")).toMatchObject({ Warnings: null });
});

test("a start without the directory of volumes is refused: its disk is not mounted", async () => {
  const root = temporaryDirectory();
  folders.push(root);
  {
    await using daemon = await startDaemon({ root });
    await ask(daemon.socketPath, "/volumes/create", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ Name: "wiki" }),
    });
  }
  renameSync(join(root, "volumes"), join(root, "elsewhere"));
  await expect(startDaemon({ root })).rejects.toThrow(/volumes is gone, but the state knows/);
  renameSync(join(root, "elsewhere"), join(root, "volumes"));
  await using daemon = await startDaemon({ root });
  expect(await ask(daemon.socketPath, "/volumes/wiki")).toMatchObject({ Name: "wiki" });
});

whenPossible(["root", "mount"], "a root behind a link is what the link leads to", async () => {
  const folder = temporaryDirectory();
  folders.push(folder);
  const [place, root] = [join(folder, "disk"), join(folder, "root")];
  mkdirSync(place);
  symlinkSync(place, root);
  const pluginSocketPath = join(folder, "holdfast.sock");
  const mountedHolds = () =>
    parseMountTable(readFileSync("/proc/self/mountinfo", "utf8")).filter(
      ({ target }) => target === join(place, "holds"),
    ).length;
  try {
    const counts: number[] = [];
    for (const _start of [1, 2]) {
      await using daemon = await startDaemon({ root, pluginSocketPath });
      counts.push(mountedHolds());
      expect(await ask(daemon.socketPath, "/info")).toMatchObject({ DockerRootDir: place });
    }
    // One upon the other would hide every hold of the life before, and keep it for ever.
    expect(counts[1]).toBe(counts[0]);
  } finally {
    while (mountedHolds() > 0) {
      await runToEnd("umount", [join(place, "holds")], { timeoutMs: 10_000 });
    }
  }
});
