// Secrets in use: who has them, what a new value does, what a removal refuses and warns of.
import { describe, expect, test } from "bun:test";
import {
  type EngineBench,
  failureOf,
  named,
  startedEngine,
} from "../../test/support/engine-bench.ts";
import type { VolumeDriver, VolumeSpec } from "../core/driver.ts";
import { EngineError } from "../core/errors.ts";
import { parseVolumeName, type VolumeName } from "../core/names.ts";
import { SecretValue } from "../core/secret-store.ts";
import { trashDefaults } from "./trash/policy.ts";

function value(text: string): SecretValue {
  return new SecretValue(new TextEncoder().encode(text));
}

/** A scratch driver that takes any option, and says which updates it was asked for. */
function secretive(
  bench: EngineBench,
  updates: VolumeSpec[],
  update: (spec: VolumeSpec) => void = () => undefined,
): VolumeDriver {
  const scratch = bench.scratch();
  return {
    ...scratch,
    rebuild: undefined,
    validate: () => undefined,
    create: (spec, operation) => scratch.create({ ...spec, options: {} }, operation),
    update: {
      update: async (spec, operation) => {
        updates.push(spec);
        update(spec);
        const found = await scratch.get(spec.name, operation);
        if (found.state !== "found") throw new Error("it is gone");
        return found.record;
      },
    },
  };
}

function create(bench: EngineBench, name: string, secret: string, driver = "scratch") {
  const options = { secret, sharing: "none" };
  return bench.engine.volumes.create(named(name, { driver, options }), bench.operation());
}

function put(bench: EngineBench, name: string, text: string, mayReplace = true) {
  return bench.engine.secrets.put(name, value(text), { mayReplace }, bench.operation());
}

describe("a new value", () => {
  test("is given to each volume that uses the secret, with its driver's options", async () => {
    const updates: VolumeSpec[] = [];
    await using bench = await startedEngine({ drivers: (own) => [secretive(own, updates)] });
    expect(await put(bench, "nas", "one", false)).toMatchObject({ wasReplaced: false });
    for (const name of ["b1", "a1"]) await create(bench, name, "nas");
    await create(bench, "c1", "other");
    expect(await put(bench, "nas", "two")).toMatchObject({
      view: { volumes: ["a1", "b1"], trashed: [] },
      wasReplaced: true,
      refreshed: [
        { volume: "a1", outcome: "updated", reason: null },
        { volume: "b1", outcome: "updated", reason: null },
      ],
      unreadable: [],
    });
    expect(updates.toSorted((left, right) => (left.name < right.name ? -1 : 1))).toEqual(
      ["a1", "b1"].map((name) => ({ name: parseVolumeName(name), options: { secret: "nas" } })),
    );
    const told = bench.events.filter(({ type }) => type === "secret");
    expect(told).toMatchObject([
      { action: "create", actor: "nas", attributes: { name: "nas" } },
      { action: "update", actor: "nas" },
    ]);
  });

  test("stays where a volume cannot take it, which is told", async () => {
    const denied = new EngineError("remote.denied", "the server says no");
    await using bench = await startedEngine({
      drivers: (own) => [
        secretive(own, [], ({ name }) => {
          if (name === parseVolumeName("a1")) throw denied;
        }),
      ],
    });
    await put(bench, "nas", "one");
    for (const name of ["a1", "b1"]) await create(bench, name, "nas");
    expect((await put(bench, "nas", "two")).refreshed).toEqual([
      { volume: parseVolumeName("a1"), outcome: "failed", reason: "the server says no" },
      { volume: parseVolumeName("b1"), outcome: "updated", reason: null },
    ]);
    expect(bench.log.filter(({ level }) => level === "warn")).toMatchObject([
      { message: expect.stringContaining("new key") },
      { fields: { volume: "a1", code: "remote.denied" } },
    ]);
  });

  test("waits for the next mount where the driver cannot take it", async () => {
    await using bench = await startedEngine({
      drivers: (own) => [{ ...secretive(own, []), update: undefined }],
    });
    await put(bench, "nas", "one");
    await create(bench, "a1", "nas");
    expect((await put(bench, "nas", "two")).refreshed).toMatchObject([{ outcome: "next mount" }]);
  });

  test("is told to wait for who has what is mounted, and a new mount is for those", async () => {
    await using bench = await startedEngine({
      drivers(own) {
        const driver = secretive(own, []);
        const update = driver.update?.update ?? (() => Promise.reject(new Error("cannot happen")));
        const isWaiting = (name: VolumeName) => name === parseVolumeName("a1");
        return [{ ...driver, update: { update, isWaiting } }];
      },
    });
    await put(bench, "nas", "one");
    for (const name of ["a1", "b1"]) await create(bench, name, "nas");
    expect((await put(bench, "nas", "two")).refreshed).toEqual([
      { volume: parseVolumeName("a1"), outcome: "next mount", reason: null },
      { volume: parseVolumeName("b1"), outcome: "updated", reason: null },
    ]);
  });

  test("is not at odds with others that come at once", async () => {
    const updates: VolumeSpec[] = [];
    await using bench = await startedEngine({ drivers: (own) => [secretive(own, updates)] });
    await put(bench, "nas", "one");
    for (let index = 0; index < 10; index++) await create(bench, `v${index}`, "nas");
    const puts = Array.from({ length: 5 }, (_, index) => put(bench, "nas", `value ${index}`));
    for (const { refreshed } of await Promise.all(puts)) {
      expect(refreshed.map(({ outcome }) => outcome)).toEqual(Array(10).fill("updated"));
    }
    expect(updates).toHaveLength(50);
  });
});

describe("a removal", () => {
  test("is refused while a volume uses the secret, and names it", async () => {
    await using bench = await startedEngine({ drivers: (own) => [secretive(own, [])] });
    await put(bench, "nas", "one");
    for (let index = 0; index < 12; index++) {
      await create(bench, `v${String(index).padStart(2, "0")}`, "nas");
    }
    const failure = await failureOf(bench.engine.secrets.remove("nas", bench.operation()));
    expect(failure.code).toBe("secret.in_use");
    expect(failure.message).toEndWith("v08, v09 and 2 more");
    expect(bench.engine.secrets.inspect("nas").volumes).toHaveLength(12);
  });

  test("of one that only the trash names is done, with a warning", async () => {
    await using bench = await startedEngine({
      drivers: (own) => [secretive(own, [])],
      trash: { defaults: trashDefaults },
    });
    await put(bench, "nas", "one");
    await create(bench, "a1", "nas");
    await bench.engine.volumes.remove("a1", bench.operation());
    expect(await bench.engine.secrets.remove("nas", bench.operation())).toMatchObject({
      volumes: [],
      trashed: ["a1"],
    });
    expect(bench.log.at(-1)).toMatchObject({
      level: "warn",
      fields: { secret: "nas", volumes: "a1" },
    });
    expect(bench.events.at(-1)).toMatchObject({ type: "secret", action: "remove", actor: "nas" });
    expect(bench.engine.secrets.list()).toEqual([]);
    for (const work of [
      () => bench.engine.secrets.inspect("nas"),
      bench.engine.secrets.remove("nas", bench.operation()),
    ]) {
      expect((await failureOf(work)).code).toBe("secret.not_found");
    }
  });

  test("waits for a volume that is being made with it, and then finds it", async () => {
    const { promise: made, resolve: finish } = Promise.withResolvers<void>();
    const { promise: asked, resolve: begin } = Promise.withResolvers<void>();
    await using bench = await startedEngine({
      drivers(own) {
        const driver = secretive(own, []);
        const create: VolumeDriver["create"] = async (...call) => {
          begin();
          await made;
          return await driver.create(...call);
        };
        return [{ ...driver, create }];
      },
    });
    await put(bench, "nas", "one");
    const creating = create(bench, "a1", "nas");
    await asked;
    const removing = failureOf(bench.engine.secrets.remove("nas", bench.operation()));
    // Others' secrets are nobody's business.
    await put(bench, "another", "two");
    await bench.engine.secrets.remove("another", bench.operation());
    finish();
    await creating;
    expect((await removing).code).toBe("secret.in_use");
    expect(bench.engine.secrets.inspect("nas").volumes).toEqual([parseVolumeName("a1")]);
  });

  test("comes before a volume that is made with it later", async () => {
    const { promise: gone, resolve: finish } = Promise.withResolvers<void>();
    await using bench = await startedEngine({
      secrets: (own) => ({
        list: () => own.list(),
        read: (...call) => own.read(...call),
        put: (...call) => own.put(...call),
        async remove(...call) {
          await gone;
          await own.remove(...call);
        },
      }),
      drivers(own) {
        const driver = secretive(own, []);
        const create: VolumeDriver["create"] = async (...call) => {
          if (call[0].name === "a1") own.engine.secrets.inspect("nas");
          return await driver.create(...call);
        };
        return [{ ...driver, create }];
      },
    });
    await put(bench, "nas", "one");
    const removing = bench.engine.secrets.remove("nas", bench.operation());
    const creating = failureOf(create(bench, "a1", "nas"));
    // What is not in its way comes before it.
    await create(bench, "b1", "another");
    finish();
    await removing;
    expect((await creating).code).toBe("secret.not_found");
    expect(bench.engine.volumes.list({}).map(({ name }) => String(name))).toEqual(["b1"]);
  });
});
