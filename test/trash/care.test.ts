// Around the removal of volumes that real containers have: prune plans, other names, purges of what
// a container still shows, what volumes say of their own end, and who did it all.
import { describe, expect } from "bun:test";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "../support/child.ts";
import type { HoldsBench } from "../support/holds-bench.ts";
import { testImage } from "../support/test-image.ts";
import { stage } from "./stage.ts";
import {
  dataOf,
  dayMs,
  fill,
  history,
  holdfast,
  keptAs,
  onOwnSocket,
  readBy,
  refusal,
  stayMs,
  trash,
  treeOf,
} from "./steps.ts";

let bench: HoldsBench;
const when = stage((started) => {
  bench = started;
});

/** The id that a plan is applied by, and its text. */
async function planned(
  ...words: readonly string[]
): Promise<{ readonly text: string; readonly id: string }> {
  const text = await holdfast(bench, "volume", "prune", "--plan", ...words);
  const [, id = ""] = /--apply (p-[0-9a-f]+)/.exec(text) ?? [];
  return { text, id };
}

describe("a prune plan", () => {
  when("keeps what stopped containers have, and passes over what was used since", async () => {
    for (const name of ["stopped", "running", "fresh", "early", "late", "renamed"]) {
      await bench.createVolume(`plan-${name}`, "labels=set=plan");
    }
    await bench.run("sleeper", "-v", "plan-stopped:/v");
    await bench.run("worker", "-v", "plan-running:/v");
    await bench.docker("stop", "sleeper");
    // Its last user is gone, and is known by name.
    await bench.run("reader", "-v", "plan-early:/v");
    await bench.holders("plan-early", "reader running rw");
    await bench.docker("rm", "-f", "reader");
    await bench.holders("plan-early");
    const { text, id } = await planned("--all", "--filter", "label=set=plan");
    expect(text).toMatch(/^plan-early .* reader +unused for moments$/m);
    expect(text).toMatch(/^plan-fresh +\S+ +never +- +never used, made moments ago$/m);
    expect(text).toMatch(/^plan-stopped +container sleeper is only stopped$/m);
    expect(text).not.toContain("plan-running");

    await bench.run("user", "-v", "plan-early:/v");
    await bench.run("passer-by", "-v", "plan-late:/v");
    await bench.holders("plan-late", "passer-by running rw");
    await bench.docker("rm", "-f", "passer-by");
    await bench.holders("plan-late");
    await holdfast(bench, "volume", "rename", "plan-renamed", "plan-other");
    const applied = await bench.holdfast("volume", "prune", "--apply", id);
    expect(applied.stdout).toBe("plan-fresh\n");
    expect(applied.stderr).toContain("plan-early: used since: user");
    expect(applied.stderr).toContain("plan-late: used since: passer-by");
    expect(applied.stderr).toContain("plan-renamed: gone");
    expect((await keptAs(bench, "plan-fresh")).removedBy).not.toBe("dockerd");
    const left = (await bench.docker("volume", "ls", "-q", "--filter", "name=plan-")).split("\n");
    expect(left.toSorted()).toEqual(
      ["early", "late", "other", "running", "stopped"].map((name) => `plan-${name}`),
    );
    expect(await refusal(bench, "volume", "prune", "--apply", id)).toContain(id);
    await bench.docker("rm", "-f", "sleeper", "worker", "user");
  });
});

describe("a volume with an older name", () => {
  when("is listed by dockerd under both, and by its own when the alias was removed", async () => {
    await bench.createVolume("orders");
    fill(bench, "orders");
    await holdfast(bench, "volume", "rename", "orders", "archive", "--keep-alias");
    const listed = async (): Promise<readonly string[]> =>
      (await bench.docker("volume", "ls", "-q")).split("\n").filter((name) => /^[ao]r/.test(name));
    expect(await listed()).toEqual(["archive", "orders"]);
    expect(await readBy(bench, "orders")).toBe("orders");
    // A create by the old name is the volume; dockerd prunes nothing of a plugin's.
    await bench.createVolume("orders");
    await bench.docker("volume", "prune", "-f");
    expect(await listed()).toEqual(["archive", "orders"]);
    await bench.docker("volume", "rm", "-f", "orders");
    expect(await listed()).toEqual(["archive"]);
    expect((await trash(bench)).filter(({ name }) => /^(?:orders|archive)$/.test(name))).toEqual(
      [],
    );
    expect(await readBy(bench, "archive")).toBe("orders");
    expect(await history(bench, "archive")).toContainEqual(
      expect.objectContaining({ action: "forget", by: "dockerd", subject: "orders" }),
    );
    // The name is free, and what is made by it is another volume.
    await bench.createVolume("orders");
    expect(readdirSync(dataOf(bench, "orders"))).toEqual([]);
    await bench.docker("volume", "rm", "orders", "archive");
    // It was renamed: it comes back under the name that it had at its end.
    await holdfast(bench, "trash", "restore", "archive");
    expect(await readBy(bench, "archive")).toBe("orders");
  });

  when("goes to the trash with its names, and comes back with them", async () => {
    await bench.createVolume("first");
    fill(bench, "first");
    await holdfast(bench, "volume", "rename", "first", "second", "--keep-alias");
    await bench.docker("volume", "rm", "second");
    expect(await refusal(bench, "volume", "inspect", "first")).toContain("no such volume");
    expect(await bench.refused("volume", "inspect", "first")).toContain("no such volume");
    await holdfast(bench, "trash", "restore", "second");
    // dockerd, too, goes on with the older one.
    expect(await bench.docker("volume", "ls", "-q", "--filter", "name=first")).toBe("first");
    expect(await readBy(bench, "first")).toBe("first");
    expect(await readBy(bench, "second")).toBe("first");
    await bench.docker("volume", "rm", "second");
    await holdfast(bench, "trash", "restore", "second", "--as", "first");
    expect(await bench.docker("volume", "ls", "-q", "--filter", "name=first")).toBe("first");
  });
});

describe("the history", () => {
  when("says who: dockerd with its container, programs on Holdfast's own socket", async () => {
    await bench.createVolume("ledger");
    await bench.run("clerk", "-v", "ledger:/v");
    await bench.holders("ledger", "clerk running rw");
    expect(await refusal(bench, "volume", "rm", "ledger")).toContain("clerk (docker, running)");
    await bench.docker("rm", "-f", "clerk");
    await bench.holders("ledger");
    await onOwnSocket(bench, "docker", "volume", "rm", "ledger");
    await holdfast(bench, "trash", "restore", "ledger");
    await bench.docker("volume", "rm", "ledger");
    const rows = (await history(bench, "ledger")).toReversed();
    const own = rows.find(({ action }) => action === "restore")?.by ?? "";
    expect(own).toEndWith(" (root)");
    const { id } = await keptAs(bench, "ledger");
    expect(rows.map((row) => [row.action, row.by, row.outcome])).toEqual([
      ["create", "dockerd", "done"],
      ["mount", "dockerd", "done"],
      ["remove", own, "volume.in_use"],
      ["unmount", "holdfast", "done"],
      ["remove", "docker (root)", "done"],
      ["restore", own, "done"],
      ["remove", "dockerd", "done"],
    ]);
    expect(rows[3]?.subject).toBe("clerk");
    expect([rows[4]?.subject, rows[6]?.subject]).toEqual([rows[5]?.subject, id]);
  });
});

describe("a purge", () => {
  /** A container that has the volume's directory by its path, of which no engine tells. */
  async function shownTo(container: string, volume: string): Promise<void> {
    await bench.createVolume(volume);
    fill(bench, volume);
    await bench.run(container, "-v", `${dataOf(bench, volume)}:/d`);
  }

  when("is refused while a container shows the directory, and loses nothing", async () => {
    await shownTo("plain", "shown");
    await bench.docker("volume", "rm", "shown");
    const { id } = await keptAs(bench, "shown");
    const place = join(bench.root, "trash", id, "_data");
    const before = treeOf(place);
    for (const wait of [[], ["--wait"]]) {
      const said = await refusal(bench, "trash", "purge", "--yes", ...wait, "shown");
      expect(said).toContain(`still has ${join(bench.root, "trash", id)}, at /d`);
      expect(said).toMatch(/container [0-9a-f]{12} still/);
      expect(treeOf(place)).toEqual(before);
    }
    expect((await keptAs(bench, "shown")).phase).toBe("kept");
    await bench.docker("exec", "plain", "sh", "-c", "echo more >> /d/page");
    // What it has written is in what comes back.
    await holdfast(bench, "trash", "restore", "shown");
    expect(await readBy(bench, "shown")).toBe("shownmore");
    await bench.docker("volume", "rm", "shown");
    await bench.docker("rm", "-f", "plain");
    await holdfast(bench, "trash", "purge", "--yes", "--wait", "shown");
    expect(readdirSync(join(bench.root, "trash"))).not.toContain(id);
    expect((await trash(bench)).filter(({ name }) => name === "shown")).toEqual([]);
  });

  when("at the removal is refused too, and the volume stays", async () => {
    await shownTo("plain", "given-up");
    const words = ["volume", "rm", "--purge", "--yes", "given-up"];
    expect(await refusal(bench, ...words)).toContain("still has its directory, at /d");
    expect(await bench.docker("exec", "plain", "cat", "/d/page")).toBe("given-up");
    expect((await trash(bench)).filter(({ name }) => name === "given-up")).toEqual([]);
    await bench.docker("rm", "-f", "plain");
    await holdfast(bench, ...words);
    expect(existsSync(dataOf(bench, "given-up"))).toBe(false);
  });
});

describe("what a volume says of its own end", () => {
  when("by options of docker volume create", async () => {
    const cases: readonly (readonly [string, number | null | undefined])[] = [
      ["trash=30d", 30 * dayMs],
      ["trash=12h", dayMs / 2],
      ["trash=off", undefined],
      ["reclaim=retain", null],
      ["reclaim=delete", undefined],
      ["reclaim=trash", 7 * dayMs],
    ];
    for (const [option, stay] of cases) {
      const name = option.replace("=", "-");
      await bench.createVolume(name, option);
      fill(bench, name);
      await bench.docker("volume", "rm", name);
      const found = (await trash(bench)).filter(
        (entry) => entry.name === name && entry.phase === "kept",
      );
      expect([option, ...found.map(stayMs)]).toEqual(
        stay === undefined ? [option] : [option, stay],
      );
      if (stay !== undefined) continue;
      await eventually(
        async () => ((await trash(bench)).some((entry) => entry.name === name) ? undefined : true),
        { timeoutMs: 10_000, otherwise: () => `${name} is not purged` },
      );
      expect(await refusal(bench, "trash", "restore", name)).toMatch(
        /it was removed for good at \S+Z by dockerd$/m,
      );
    }
    const odd = ["create", "-d", "holdfast", "-o", "trash=never", "odd"];
    expect(await bench.refused("volume", ...odd)).toContain(
      'invalid option: "trash": "never": a number with d (days), h (hours) or m (minutes)',
    );
    const external = ["-o", "type=none", "-o", "o=bind", "-o", `device=${bench.folder}`];
    const deleting = ["create", "-d", "holdfast", "-o", "reclaim=delete", ...external, "odd"];
    expect(await bench.refused("volume", ...deleting)).toContain("reclaim");
  });

  when("storage that is not Holdfast's stays where it is, also when it is purged", async () => {
    const outside = join(bench.folder, "outside");
    mkdirSync(outside);
    writeFileSync(join(outside, "page"), "somebody else's");
    const before = treeOf(outside);
    await bench.createVolume("bound", "type=none", "o=bind", `device=${outside}`);
    expect(await readBy(bench, "bound")).toBe("somebody else's");
    await bench.holders("bound");
    await bench.docker("volume", "rm", "bound");
    expect(stayMs(await keptAs(bench, "bound"))).toBeNull();
    await holdfast(bench, "trash", "restore", "bound");
    expect(await readBy(bench, "bound")).toBe("somebody else's");
    await bench.holders("bound");
    await bench.docker("volume", "rm", "bound");
    await holdfast(bench, "trash", "purge", "--yes", "--wait", "bound");
    expect((await trash(bench)).filter(({ name }) => name === "bound")).toEqual([]);
    expect(treeOf(outside)).toEqual(before);
    // Holdfast's own rm says the same of it.
    await bench.createVolume("bound", "type=none", "o=bind", `device=${outside}`);
    await holdfast(bench, "volume", "rm", "--purge", "--yes", "bound");
    expect(treeOf(outside)).toEqual(before);
  });
});

when("a removal and a restore meet containers of dockerd that start meanwhile", async () => {
  const place = [
    "run",
    "--rm",
    "--network",
    "none",
    "-v",
    "race:/v",
    "--volume-driver",
    "holdfast",
  ];
  for (let round = 0; round < 2; round += 1) {
    await bench.createVolume("race");
    fill(bench, "race", `round ${round}`);
    await bench.holders("race");
    await bench.docker("volume", "rm", "race");
    const { id } = await keptAs(bench, "race");
    // Whoever is first has the name: the restored volume is whole, or it stays in the trash.
    const [ran, restored] = await Promise.all([
      bench.dockerd.docker(...place, testImage, "sh", "-c", "cat /v/page || echo empty"),
      bench.holdfast("trash", "restore", id),
    ]);
    expect(ran.exit).toBe(0);
    if (restored.exit === 0) {
      expect(ran.stdout.trim()).toBe(`round ${round}`);
      await bench.holders("race");
      await bench.docker("volume", "rm", "race");
    } else {
      expect(ran.stdout.trim()).toBe("empty");
      expect(restored.stderr).toContain("race already");
      await bench.holders("race");
      await bench.docker("volume", "rm", "race");
      await holdfast(bench, "trash", "restore", id);
      expect(await readBy(bench, "race")).toBe(`round ${round}`);
      await bench.holders("race");
      await bench.docker("volume", "rm", "race");
    }
    await holdfast(bench, "trash", "purge", "--all", "--yes", "--wait");
  }
});
