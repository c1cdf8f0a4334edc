// Several at once about the same plugin, and a plugin that asks for more when it is upgraded.
//
// Whatever wins: each call is done or refused, what is there afterwards is what was acknowledged,
// and nothing is left over.
import { afterAll, beforeAll, expect } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { runToEnd } from "../support/child.ts";
import { type FaultRegistry, startFaultRegistry } from "../support/fault-registry.ts";
import { needs, whenPossible } from "../support/needs.ts";
import { PluginHouse } from "../support/plugin-house.ts";
import { makePluginRootfs } from "../support/plugin-rootfs.ts";

const needed = ["root", "mount", "docker-cli", "plugin-runtime"] as const;
const testTimeoutMs = 180_000;
const volumeRounds = 100;
const taken = /plugin vp:latest (already exists|is being installed)/;

const house = new PluginHouse();
let registry: FaultRegistry;

beforeAll(async () => {
  if (needs(...needed).skip !== undefined) return;
  registry = await startFaultRegistry();
  // "v1" asks for nothing, "v2" for a capability.
  await publish("v1", "rootfs");
  await publish("v2", "propagated");
  await house.start();
});

afterAll(async () => {
  await house[Symbol.asyncDispose]();
  await registry?.[Symbol.asyncDispose]();
});

async function publish(tag: string, kind: "rootfs" | "propagated"): Promise<void> {
  const made = join(house.folder, tag);
  const { rootfs, configPath } = await makePluginRootfs(made, kind);
  const packed = join(made, "layer.tar");
  const { exit, stderr } = await runToEnd("tar", ["-C", rootfs, "-cf", packed, "."], {
    timeoutMs: 30_000,
  });
  expect([exit, stderr]).toEqual([0, ""]);
  const layer = gzipSync(readFileSync(packed), { level: 1 });
  registry.add({ path: "vp", tag }, [layer], readFileSync(configPath));
}

const remote = (tag: string) => `${registry.host}/vp:${tag}`;

const install = (alias: string, tag = "v1", ...more: readonly string[]) =>
  house.run(
    ...["plugin", "install", "--grant-all-permissions", "--alias", alias, ...more, remote(tag)],
  );

const names = () => house.records().map(({ name }) => name);

async function removeAll(): Promise<void> {
  for (const name of names()) await house.docker("plugin", "rm", "--force", name);
  await house.becomesWhole("after all were removed");
}

const tagOf = () => house.record().version.reference.replace(/.*:/, "");

whenPossible(
  needed,
  "an upgrade that asks for more is asked about, and refused unless somebody agrees",
  async () => {
    await install("vp", "v1", "--disable");
    const upgrade = ["plugin", "upgrade", "--skip-remote-check", "vp", remote("v2")];
    // "n", an empty line, and nobody there to be asked.
    for (const answer of ["n\n", "\n", ""]) {
      const { exit, stdout, stderr } = await house.answering(answer, ...upgrade);
      expect(stdout).toContain("requesting the following privileges");
      expect(stdout).toContain("capabilities: [CAP_SYS_ADMIN]");
      expect([answer, exit, stderr]).toEqual([answer, 1, expect.stringMatching(/.+/)]);
      expect(tagOf()).toBe("v1");
    }
    // A client that says what is not so: nothing, too little, too much, something else.
    const asked = { Name: "capabilities", Description: "", Value: ["CAP_SYS_ADMIN"] };
    const lies = [
      [],
      [{ ...asked, Value: [] }],
      [{ ...asked, Value: ["CAP_SYS_ADMIN", "CAP_SYS_TIME"] }],
      [{ ...asked, Name: "network", Value: ["host"] }],
      [asked, { ...asked, Name: "device", Value: ["/dev/fuse"] }],
      [asked, asked],
    ];
    const path = (tag: string) => `/plugins/vp/upgrade?remote=${encodeURIComponent(remote(tag))}`;
    for (const granted of lies) {
      const { error } = await stream("POST", path("v2"), granted);
      expect([granted, error]).toEqual([granted, "incorrect privileges"]);
      expect(tagOf()).toBe("v1");
    }
    expect((await stream("POST", path("v1"), [asked])).error).toBe("incorrect privileges");
    await house.becomesWhole("after refusals");

    const { exit } = await house.answering("y\n", ...upgrade);
    expect([exit, tagOf()]).toEqual([0, "v2"]);
    await house.docker("plugin", "enable", "vp");
    await removeAll();
  },
  testTimeoutMs,
);

/** The failure that a stream of progress ends with, or that is the answer. */
async function stream(method: string, path: string, body: unknown) {
  const answer = await fetch(`http://localhost${path}`, {
    unix: house.daemon.socketPath,
    method,
    body: JSON.stringify(body),
    headers: { "Content-Type": "application/json" },
  });
  const lines = (await answer.text()).trim().split("\n");
  // Docker's: `{"message"}` before the stream, `{"error"}` in it.
  const last = JSON.parse(lines.at(-1) ?? "{}") as {
    readonly error?: string;
    readonly message?: string;
  };
  return { status: answer.status, error: last.error ?? last.message };
}

whenPossible(
  needed,
  "of installs of one name at once one wins, and the others say why not",
  async () => {
    for (let round = 0; round < 5; round++) {
      const all = await Promise.all([1, 2, 3].map((n) => install("vp", n === 3 ? "v2" : "v1")));
      const won = all.filter(({ exit }) => exit === 0);
      expect([won.length, names()]).toEqual([1, ["vp:latest"]]);
      for (const { exit, stdout, stderr } of all) {
        if (exit !== 0) expect(stdout + stderr).toMatch(taken);
      }
      await house.becomesWhole("after installs of one name");
      expect(house.record().isEnabled).toBe(true);
      await removeAll();
    }
  },
  testTimeoutMs,
);

whenPossible(
  needed,
  "ten installs of other names at once are ten plugins that run",
  async () => {
    const aliases = Array.from({ length: 10 }, (_, index) => `vp${index}`);
    const all = await Promise.all(
      aliases.map((alias, index) => install(alias, `v${1 + (index % 2)}`)),
    );
    expect(all.map(({ exit, stderr }) => `${exit}${stderr}`)).toEqual(aliases.map(() => "0"));
    expect([...names()].sort()).toEqual(aliases.map((alias) => `${alias}:latest`));
    await house.becomesWhole("after ten installs");
    const made = aliases.map((Driver) =>
      house.client.expect(201, "POST", "/volumes/create", { Name: `of-${Driver}`, Driver }),
    );
    await Promise.all(made);
    await Promise.all(
      aliases.map((alias) => house.client.expect(204, "DELETE", `/volumes/of-${alias}`)),
    );
    await Promise.all(aliases.map((alias) => house.docker("plugin", "rm", "--force", alias)));
    await house.becomesWhole("after ten removals at once");
  },
  testTimeoutMs,
);

whenPossible(
  needed,
  "an install and removals of its name at once",
  async () => {
    for (let round = 0; round < 8; round++) {
      const installing = install("vp", "v2");
      const removals: Promise<unknown>[] = [];
      let isOver = false;
      const over = installing.finally(() => {
        isOver = true;
      });
      while (!isOver) {
        const removal = house.client.send("DELETE", "/plugins/vp?force=1");
        removals.push(removal);
        const { status } = await removal;
        expect([200, 404]).toContain(status);
      }
      const { exit, stdout, stderr } = await over;
      // Docker's client enables it in a call of its own: it may be gone by then.
      if (exit !== 0) expect(stdout + stderr).toContain("not found");
      await house.becomesWhole("after an install against removals");
      await removeAll();
    }
  },
  testTimeoutMs,
);

whenPossible(
  needed,
  "enables and disables at once",
  async () => {
    await install("vp", "v2");
    const statuses: number[] = [];
    const client = async (verb: string) => {
      for (let round = 0; round < 8; round++) {
        const { status, body } = await house.client.send("POST", `/plugins/vp/${verb}`);
        statuses.push(status);
        const words = JSON.stringify(body ?? "");
        if (status !== 200) expect(words).toMatch(/already enabled|already disabled/);
      }
    };
    await Promise.all(
      ["enable?timeout=0", "disable", "enable?timeout=0", "disable?force=1"].map(client),
    );
    expect(statuses.filter((status) => status === 200).length).toBeGreaterThan(1);
    await house.becomesWhole("after enables and disables");
    await removeAll();
  },
  testTimeoutMs,
);

whenPossible(
  needed,
  `${volumeRounds} rounds of volumes while their plugin is stopped and started`,
  async () => {
    await install("vp", "v2");
    const known = new Set<string>();
    const doubtful = new Set<string>();
    let isOver = false;
    const switching = (async () => {
      while (!isOver) {
        await house.client.expect(200, "POST", "/plugins/vp/disable?force=1");
        await house.client.expect(200, "POST", "/plugins/vp/enable?timeout=0");
      }
    })();
    const send = async (name: string, method: string, path: string, body?: unknown) => {
      const { status } = await house.client.send(method, path, body);
      expect([200, 201, 204, 404, 409, 500, 503]).toContain(status);
      if (status >= 300) doubtful.add(name);
      return status;
    };
    for (let round = 0; round < volumeRounds; round++) {
      const name = `v${round % 10}`;
      doubtful.delete(name);
      const isThere = known.has(name);
      const status = isThere
        ? await send(name, "DELETE", `/volumes/${name}`)
        : await send(name, "POST", "/volumes/create", { Name: name, Driver: "vp" });
      if (isThere && status === 204) known.delete(name);
      if (!isThere && status === 201) known.add(name);
      const listed = (await house.client.volumes()).some(({ Name }) => Name === name);
      // What was acknowledged is so, at once, whether or not the plugin runs.
      if (!doubtful.has(name))
        expect([round, name, listed]).toEqual([round, name, known.has(name)]);
    }
    isOver = true;
    await switching;
    await house.becomesWhole("after volumes");
    const data = join(house.root, "plugins", house.record().id, "propagated-mount");
    const there = readdirSync(data).filter((name) => !name.startsWith("."));
    const sure = (name: string) => !doubtful.has(name);
    expect(there.filter(sure).sort()).toEqual([...known].filter(sure).sort());
    for (const name of new Set([...known, ...doubtful])) {
      await house.client.expect(201, "POST", "/volumes/create", { Name: name, Driver: "vp" });
      await house.client.expect(204, "DELETE", `/volumes/${name}`);
    }
    expect([await house.client.volumes(), house.ownMounts()]).toEqual([[], []]);
    await removeAll();
  },
  testTimeoutMs,
);
