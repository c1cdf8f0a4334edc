// Create tests what it is given, and leaves nothing behind when that fails.
import { describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { whenPossible } from "../../test/support/needs.ts";
import { testOperation } from "../../test/support/operation.ts";
import {
  failureOf,
  first,
  operation,
  other,
  remoteBench,
  trashId,
  wiki,
} from "../../test/support/remote-bench.ts";
import { collect } from "../conformance/expectations.ts";
import { EngineError } from "../core/errors.ts";

const possible = ["root", "mount"] as const;

describe("create", () => {
  whenPossible(possible, "without a subpath the volume is what is there", async () => {
    await using bench = remoteBench();
    writeFileSync(join(bench.share, "precious"), "precious");
    const record = await bench.create();
    expect(record.origin).toBe("adopted");
    expect(record.mountpoint).toEndWith("/remote/bound/wiki/data");
    expect(bench.onServer()).toEqual(["precious"]);
    expect(bench.isMounted()).toBe(false);
  });

  whenPossible(
    possible,
    "makes a subpath that is missing, and adopts one that is there",
    async () => {
      await using bench = remoteBench();
      expect((await bench.create({ subpath: "a/b" })).origin).toBe("made");
      expect(bench.onServer()).toEqual([".holdfast-a", "a", "a/.holdfast-b", "a/b"]);
      const again = { name: other, options: { subpath: "a/b" } };
      expect((await bench.driver.create(again, operation)).origin).toBe("adopted");
      expect(bench.onServer()).toEqual(["a", "a/b"]);
    },
  );

  whenPossible(possible, "says at which step it failed, and what to do", async () => {
    await using bench = remoteBench();
    bench.switches.isDead = true;
    const dead = await failureOf(bench.create({ subpath: "a" }));
    expect(dead.code).toBe("remote.test_failed");
    expect(dead.details).toMatchObject({ step: "mount", code: "remote.unreachable" });
    expect(dead.message).toMatch(
      /^the test of volume wiki failed at the step "mount": .* To go on/,
    );
    bench.switches.isDead = false;
    const missing = await failureOf(bench.create({ path: "nowhere" }));
    expect(missing.details).toMatchObject({ step: "mount", code: "remote.not_found" });
    expect(bench.here()).toEqual([".trash"]);
    expect(bench.onServer()).toEqual([]);
  });

  whenPossible(possible, "takes back what it made when the probe fails", async () => {
    await using bench = remoteBench();
    const { host } = bench;
    const assist = host.assist;
    const refusing: typeof assist = async (request, inner) => {
      if (JSON.stringify(request.input).includes('"probe"')) {
        throw new EngineError("host.denied", "EACCES: permission denied, write");
      }
      return await assist(request, inner);
    };
    Object.assign(host, { assist: refusing });
    const failure = await failureOf(bench.create({ subpath: "a/b" }));
    expect(failure.details).toMatchObject({ step: "write", code: "host.denied" });
    expect(bench.onServer()).toEqual([]);
    expect(bench.here()).toEqual([".trash"]);
  });

  whenPossible(
    possible,
    "a full server is told in one sentence, and not taken for this host",
    async () => {
      await using bench = remoteBench();
      const size = { type: "tmpfs", device: "full", target: bench.share, options: "nr_inodes=1" };
      await bench.host.mount(size, operation);
      const failure = await failureOf(bench.create({}));
      expect(failure.message).toBe(
        'the test of volume wiki failed at the step "write": making a file in this machine ' +
          "failed: no space left on device. To go on, make room there, or have its quota raised.",
      );
      expect(failure.details).toMatchObject({ step: "write", code: "storage.full" });
    },
  );

  whenPossible(possible, "a failed create leaves adopted data, and its mount is gone", async () => {
    await using bench = remoteBench();
    mkdirSync(join(bench.share, "a"));
    writeFileSync(join(bench.share, "a/precious"), "precious");
    bench.switches.isReadOnly = true;
    const failure = await failureOf(bench.create({ subpath: "a" }));
    expect(failure.details).toMatchObject({ step: "subpath" });
    expect(bench.onServer()).toEqual(["a", "a/precious"]);
    expect(bench.host.mounts().some(({ target }) => target.startsWith(bench.root))).toBe(false);
  });

  whenPossible(possible, "what is read-only is looked at, and not written to", async () => {
    await using bench = remoteBench();
    bench.switches.isReadOnly = true;
    const options = { "read-only": "true" };
    expect((await bench.create(options)).origin).toBe("adopted");
    const path = await bench.driver.mount(wiki, first, operation);
    expect(() => writeFileSync(`${path}/file`, "")).toThrow(/EROFS/);
    expect(await bench.driver.health?.check(wiki, operation)).toMatchObject({ state: "ready" });
  });

  whenPossible(possible, "untested, nothing is asked before the first mount", async () => {
    await using bench = remoteBench();
    bench.switches.isDead = true;
    const record = await bench.create({ subpath: "a", test: "off" });
    expect(record.origin).toBe("adopted");
    bench.switches.isDead = false;
    const path = await bench.driver.mount(wiki, first, operation);
    writeFileSync(`${path}/data`, "written");
    expect(bench.onServer()).toEqual(["a", "a/data"]);
    // Nobody knows whose it is: it is never destroyed.
    await bench.driver.unmount(wiki, first, operation);
    await bench.driver.destroy(wiki, operation);
    expect(bench.onServer()).toEqual(["a", "a/data"]);
  });

  whenPossible(
    possible,
    "a secret that is not there is said before the server is asked",
    async () => {
      await using bench = remoteBench();
      const failure = await failureOf(bench.create({ secret: "unknown" }));
      expect(failure.code).toBe("secret.not_found");
      expect(bench.mounted).toEqual([]);
    },
  );

  whenPossible(possible, "given up in the middle it leaves nothing", async () => {
    await using bench = remoteBench();
    const controller = new AbortController();
    bench.switches.before = async () => {
      controller.abort(new EngineError("operation.cancelled", "given up"));
    };
    const spec = { name: wiki, options: { subpath: "a" } };
    const creation = bench.driver.create(spec, testOperation(controller.signal));
    expect((await failureOf(creation)).code).toBe("operation.cancelled");
    expect(bench.here()).toEqual([".trash"]);
    expect(bench.onServer()).toEqual([]);
  });
});

whenPossible(possible, "what a crash left is cleaned up, and never through a mount", async () => {
  await using bench = remoteBench();
  writeFileSync(join(bench.share, "precious"), "precious");
  const place = join(bench.root, "data", "remote", "bound", ".new-00ff");
  mkdirSync(join(place, "data"), { recursive: true });
  const target = join(place, "data");
  await bench.host.mount({ type: "", device: bench.share, target, options: "bind" }, operation);
  const next = bench.open();
  expect(await collect(next.list(operation))).toEqual([]);
  expect(bench.here()).toEqual([".trash"]);
  expect(bench.onServer()).toEqual(["precious"]);
});

describe("adopted data survives", () => {
  whenPossible(possible, "forget, destroy, and the trash with its purge", async () => {
    await using bench = remoteBench();
    const { driver } = bench;
    mkdirSync(join(bench.share, "a"));
    writeFileSync(join(bench.share, "a/precious"), "precious");
    for (const options of [{}, { subpath: "a" }]) {
      await bench.create(options);
      await driver.forget(wiki, operation);
      await bench.create(options);
      await driver.destroy(wiki, operation);
      await bench.create(options);
      await driver.trash?.retire(wiki, { id: trashId, description: "" }, operation);
      await driver.trash?.purge([trashId], operation);
      expect(bench.here()).toEqual([".trash"]);
      expect(bench.onServer()).toEqual(["a", "a/precious"]);
    }
  });
});

describe("a directory that was made", () => {
  whenPossible(possible, "goes only with the purge", async () => {
    await using bench = remoteBench();
    const { driver } = bench;
    await bench.create({ subpath: "a" });
    const path = await driver.mount(wiki, first, operation);
    writeFileSync(`${path}/data`, "written");
    await driver.unmount(wiki, first, operation);
    const before = bench.onServer();
    expect(before).toEqual([".holdfast-a", "a", "a/data"]);
    await driver.trash?.retire(wiki, { id: trashId, description: "" }, operation);
    expect(bench.onServer()).toEqual(before);
    await driver.trash?.restore(trashId, other, operation);
    await driver.trash?.retire(other, { id: trashId, description: "" }, operation);
    expect(bench.onServer()).toEqual(before);
    await driver.trash?.purge([trashId], operation);
    expect(bench.onServer()).toEqual([]);
    expect(bench.here()).toEqual([".trash"]);
  });

  whenPossible(possible, "stays when another volume has it, or one in it", async () => {
    await using bench = remoteBench();
    const { driver } = bench;
    await bench.create({ subpath: "a" });
    await driver.create({ name: other, options: { subpath: "a/b", test: "off" } }, operation);
    await driver.destroy(wiki, operation);
    expect(bench.onServer()).toEqual([".holdfast-a", "a"]);
  });

  whenPossible(possible, "stays with its mark when it is forgotten", async () => {
    await using bench = remoteBench();
    await bench.create({ subpath: "a" });
    await bench.driver.forget(wiki, operation);
    expect(bench.onServer()).toEqual([".holdfast-a", "a"]);
    expect(bench.here()).toEqual([".trash"]);
  });

  whenPossible(
    possible,
    "of a dead server is destroyed later, and is removed at once",
    async () => {
      await using bench = remoteBench();
      const { driver } = bench;
      await bench.create({ subpath: "a" });
      bench.switches.isDead = true;
      expect((await failureOf(driver.destroy(wiki, operation))).code).toBe("remote.unreachable");
      expect((await driver.get(wiki, operation)).state).toBe("found");
      await driver.trash?.retire(wiki, { id: trashId, description: "" }, operation);
      expect((await driver.get(wiki, operation)).state).toBe("absent");
      const purging = driver.trash?.purge([trashId], operation) ?? Promise.resolve();
      expect((await failureOf(purging)).code).toBe("remote.unreachable");
      // Nothing was destroyed: it can still be restored.
      await driver.trash?.restore(trashId, wiki, operation);
      bench.switches.isDead = false;
      await driver.destroy(wiki, operation);
      expect(bench.onServer()).toEqual([]);
    },
  );
});

test("the record has no secret, and says what is needed", async () => {
  await using bench = remoteBench();
  await bench.create({ secret: "known", test: "off" });
  const directory = join(bench.root, "data", "remote", "bound", "wiki");
  expect(readdirSync(directory).toSorted()).toEqual(["data", "keep", "volume.json"]);
  const record = readFileSync(join(directory, "volume.json"), "utf8");
  expect(JSON.parse(record)).toMatchObject({
    format: 1,
    options: { secret: "known", test: "off" },
    origin: "adopted",
    mark: null,
  });
  expect(record).not.toInclude("hush");
});
