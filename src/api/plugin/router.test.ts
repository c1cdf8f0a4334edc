// The volume driver socket's calls: what they do, what they refuse, and in which words.
import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import type { ApiBench } from "../../../test/support/api-bench.ts";
import { gate } from "../../../test/support/http-fixture.ts";
import { call, errorOf, startedPlugin } from "../../../test/support/plugin-bench.ts";
import { EngineError } from "../../core/errors.ts";

const hexId = "df94c04d09bbb15b3bfc90162376d558fa425e0f3acd02200dbde62da776be61";

function create(bench: ApiBench, Name: string, Opts: unknown = null): Promise<string> {
  return errorOf(bench, "Create", { Name, Opts });
}

function rows(bench: ApiBench): readonly string[] {
  return bench.engine.engine.volumes.list({}).map(({ name }) => name);
}

test("plugins of both kinds serve a container engine's volumes, by `-o driver=`", async () => {
  await using bench = await startedPlugin({}, (all) => {
    all.install("mp:latest");
    all.socket("vp");
  });
  for (const driver of ["mp", "vp"]) {
    // As dockerd does when its connection broke in between.
    for (const _ of [1, 2]) expect(await create(bench, `of-${driver}`, { driver })).toBe("");
    const { json } = await call(bench, "Get", { Name: `of-${driver}` });
    expect(json).toMatchObject({ Volume: { Name: `of-${driver}`, Status: { state: "idle" } } });
  }
  const drivers = bench.engine.engine.volumes.list({}).map(({ driver }) => String(driver));
  expect(drivers).toEqual(["mp:latest", "vp"]);
  expect(await create(bench, "other", { driver: "nope" })).toBe(
    'unknown driver "nope": known are local, scratch, vp',
  );
});

describe("the protocol", () => {
  test("answers Activate and Capabilities whatever the body is", async () => {
    await using bench = await startedPlugin();
    for (const body of [undefined, "", "{}\n", "null", "garbage"]) {
      const request = body === undefined ? {} : { body, headers: { "content-type": "text/plain" } };
      const activated = await bench.send("POST", "/Plugin.Activate", request);
      expect(activated.body).toBe('{"Implements":["VolumeDriver"]}\n');
      const capable = await bench.send("POST", "/VolumeDriver.Capabilities", request);
      expect(capable.body).toBe('{"Capabilities":{"Scope":"local"}}\n');
      expect((await bench.send("POST", "/VolumeDriver.List", request)).json).toEqual({
        Volumes: [],
        Err: "",
      });
    }
  });

  test("has no other paths and methods", async () => {
    await using bench = await startedPlugin();
    const others = [
      ["GET", "/VolumeDriver.List"],
      ["POST", "/VolumeDriver.list"],
      ["POST", "/VolumeDriver.Nope"],
      ["POST", "/NetworkDriver.GetCapabilities"],
      ["POST", "/"],
      ["POST", "/toString"],
      ["GET", "/volumes"],
      ["POST", `/${"x".repeat(9_000)}`],
    ] as const;
    for (const [method, path] of others) {
      const answer = await bench.send(method, path);
      expect(answer.status).toBe(404);
      const { Err } = answer.json as { readonly Err: string };
      expect(Err).toContain("no such call; known are POST of /Plugin.Activate, ");
      expect(Err.length).toBeLessThan(500);
    }
  });

  test("reads names of fields in any case, and refuses what is no request", async () => {
    await using bench = await startedPlugin();
    expect(await errorOf(bench, "Create", { name: "wiki", OPTS: { Labels: null } })).toStartWith(
      'unknown option "Labels"',
    );
    expect(await errorOf(bench, "Create", { nAME: "wiki", oPTS: null })).toBe("");
    const mistyped = "invalid JSON: json: cannot unmarshal";
    const bad: readonly (readonly [string, string])[] = [
      ["[]", `${mistyped} array into Go value of type volume.Request`],
      ["{", "invalid JSON: unexpected EOF"],
      ['{"Name":1}', `${mistyped} number into Go struct field Request.Name of type string`],
      [
        '{"Name":"a1","Opts":[]}',
        `${mistyped} array into Go struct field Request.Opts of type map[string]string`,
      ],
      [
        '{"Name":"a1","Opts":{"size":1}}',
        `${mistyped} number into Go struct field Request.Opts of type string`,
      ],
    ];
    for (const [body, Err] of bad) {
      const answer = await bench.send("POST", "/VolumeDriver.Create", { body, isUntyped: true });
      expect([answer.status, answer.json]).toEqual([200, { Err }]);
    }
    expect(rows(bench)).toEqual(["wiki"]);
  });

  test("a call whose body was lost changes nothing and says so", async () => {
    await using bench = await startedPlugin();
    for (const method of ["Create", "Remove", "Mount", "Path"]) {
      const answer = await bench.send("POST", `/VolumeDriver.${method}`);
      expect(answer.json).toEqual({ Err: expect.stringContaining("the request was lost") });
    }
    const unmount = await bench.send("POST", "/VolumeDriver.Unmount");
    expect(unmount.json).toEqual({ Err: "" });
    expect(rows(bench)).toEqual([]);
  });
});

describe("names that dockerd does not check", () => {
  const names = ["", ".", "..", "a", "a/b", "../../etc", "wi\nki", "wiki\n", "-rf", " wiki", "ünï"];
  const all = [...names, "a\0b", "x".repeat(256), "n".repeat(4_096), "\ud800", "__proto__"];

  for (const name of all) {
    test(`${JSON.stringify(name).slice(0, 20)}: nothing is created, nothing is found`, async () => {
      const asked: string[] = [];
      await using bench = await startedPlugin({
        mount: (given) => Promise.resolve(`/${asked.push(given)}`),
        unmount: (given) => Promise.resolve(void asked.push(given)),
      });
      const error = await create(bench, name);
      expect(error).toStartWith('invalid volume name "');
      expect(error).toEndWith(
        ". Choose a name of 2 to 255 characters of [a-zA-Z0-9_.-], beginning with [a-zA-Z0-9].",
      );
      expect(error).not.toContain("\n");
      expect(error.length).toBeLessThan(300);
      const missing = "no such volume. List what exists with `holdfast volume ls`.";
      for (const method of ["Get", "Path", "Remove", "Mount"]) {
        expect(await errorOf(bench, method, { Name: name, ID: hexId })).toBe(missing);
      }
      expect(await errorOf(bench, "Unmount", { Name: name, ID: hexId })).toBe("");
      expect([rows(bench), asked]).toEqual([[], []]);
      expect(readdirSync(`${bench.engine.root}/volumes`)).toEqual([]);
    });
  }

  test("the longest name that is allowed works", async () => {
    await using bench = await startedPlugin();
    const name = "n".repeat(255);
    expect(await create(bench, name)).toBe("");
    expect(rows(bench)).toEqual([name]);
  });
});

describe("Create", () => {
  test("takes a driver, labels, and options of the engine and the driver", async () => {
    await using bench = await startedPlugin();
    const Opts = {
      driver: "scratch",
      labels: "app=shop, tier,eq=a=b",
      note: "x",
      sharing: "none",
      owner: "999:999",
      mode: "0750",
    };
    expect(await create(bench, "wiki", Opts)).toBe("");
    expect(bench.engine.engine.volumes.inspect("wiki")).toMatchObject({
      driver: "scratch",
      labels: { app: "shop", tier: "", eq: "a=b" },
      options: { note: "x", sharing: "none", owner: "999:999", mode: "0750" },
    });
  });

  test("without options it is a volume that Docker's routes make too", async () => {
    await using bench = await startedPlugin();
    for (const Opts of [undefined, null, {}, { labels: "" }, { driver: "local" }]) {
      expect(await create(bench, "wiki", Opts)).toBe("");
    }
    expect(bench.engine.engine.volumes.inspect("wiki")).toMatchObject({
      driver: "local",
      labels: null,
      options: null,
    });
  });

  const known =
    "database, device, driver, guard, labels, mode, o, on-stale, owner, reclaim, sharing, size, " +
    "trash, type";
  const refused: readonly (readonly [Readonly<Record<string, string>>, string])[] = [
    [{ foo: "1" }, `unknown option "foo": known are ${known}`],
    [{ Driver: "local" }, `unknown option "Driver": did you mean driver? known are ${known}`],
    [{ "": "" }, `unknown option "": known are ${known}`],
    [
      { driver: "scratch", size: "1" },
      'unknown option "size": known are database, driver, guard, labels, mode, note, on-stale, ' +
        "owner, " +
        "reclaim, sharing, trash",
    ],
    [{ ["o".repeat(5_000)]: "" }, `unknown option "${"o".repeat(80)}…": known are ${known}`],
    [{ driver: "nosuch" }, 'unknown driver "nosuch": known are local, scratch'],
    [
      { driver: "tmpfs" },
      'unknown driver "tmpfs": did you mean local with -o type=tmpfs -o device=tmpfs? known are ' +
        "local, scratch",
    ],
    [{ driver: "s3" }, 'unknown driver "s3": known are local, scratch'],
    [{ driver: "" }, 'unknown driver "": known are local, scratch'],
    [{ driver: "__proto__" }, 'unknown driver "__proto__": known are local, scratch'],
    [
      { labels: "a=1,,b" },
      'option labels: "a=1,,b": key=value or key is needed, several of them separated by commas, ' +
        "so that no value can hold a comma",
    ],
    [
      { labels: "=1" },
      'option labels: "=1": key=value or key is needed, several of them separated by commas, ' +
        "so that no value can hold a comma",
    ],
    [{ type: "tmpfs" }, 'missing required option: "device"'],
    [{ size: "zzz" }, "invalid size: 'zzz'"],
    [
      { sharing: "two" },
      'invalid option: "sharing": "two": one of all, none, onewriter, readonly is needed',
    ],
    [
      { mode: "9" },
      'invalid option: "mode": "9": three or four octal digits are needed, as in 0750',
    ],
  ];
  for (const [Opts, Err] of refused) {
    test(`refuses ${JSON.stringify(Opts).slice(0, 40)}`, async () => {
      await using bench = await startedPlugin();
      expect(await create(bench, "wiki", Opts)).toBe(Err);
      expect(rows(bench)).toEqual([]);
      expect(existsSync(bench.engine.volumePath("wiki"))).toBe(false);
    });
  }

  test("of a volume that is there: fine when it is the same, else told what differs", async () => {
    await using bench = await startedPlugin();
    const Opts = { labels: "a=1", sharing: "none", size: "0" };
    expect(await create(bench, "wiki", Opts)).toBe("");
    expect(await create(bench, "wiki", { size: "0", sharing: "none", labels: "a=1" })).toBe("");
    const others: readonly (readonly [Readonly<Record<string, string>>, string])[] = [
      [{ ...Opts, labels: "a=2" }, 'with another value of the label "a"'],
      [{ ...Opts, labels: "a=1,b" }, 'without the label "b"'],
      [{ ...Opts, labels: "" }, 'with the label "a"'],
      [{ ...Opts, sharing: "all" }, 'with another value of the option "sharing"'],
      [{ ...Opts, mode: "0700" }, 'without the option "mode"'],
      [{ labels: "a=1" }, 'with the option "sharing"'],
      [{ ...Opts, o: "password=secret" }, 'without the option "o"'],
    ];
    for (const [differing, how] of others) {
      expect(await create(bench, "wiki", differing)).toBe(
        `volume wiki exists already, ${how}: use another name, or remove it first`,
      );
    }
    expect(await create(bench, "wiki", { driver: "scratch" })).toBe(
      "driver 'local' already has volume 'wiki': volume name must be unique",
    );
    expect(bench.engine.engine.volumes.inspect("wiki").labels).toEqual({ a: "1" });
  });
});

describe("what there is", () => {
  test("Get tells driver, sharing, state, holders, labels; Path and List the place", async () => {
    await using bench = await startedPlugin();
    await create(bench, "wiki", { labels: "a=1,b", sharing: "onewriter" });
    const { mountpoint } = bench.engine.engine.volumes.inspect("wiki");
    expect((await call(bench, "Get", { Name: "wiki" })).json).toEqual({
      Volume: {
        Name: "wiki",
        Mountpoint: mountpoint,
        CreatedAt: "2026-10-15T20:00:00Z",
        Status: {
          driver: "local",
          sharing: "onewriter",
          state: "idle",
          holders: [],
          labels: ["a=1", "b="],
        },
      },
      Err: "",
    });
    const place = { Name: "wiki", Mountpoint: mountpoint };
    expect((await call(bench, "List", {})).json).toEqual({ Volumes: [place], Err: "" });
    const path = await call(bench, "Path", { Name: "wiki" });
    expect(path.json).toEqual({ Mountpoint: mountpoint, Err: "" });
  });

  test("a volume on its way from or to another engine is not there, and not removed", async () => {
    await using bench = await startedPlugin();
    await create(bench, "wiki");
    const { state, volumes } = bench.engine.engine;
    for (const phase of ["adopting", "releasing"] as const) {
      const entry = { ...volumes.inspect("wiki"), phase };
      await state.write((transaction) => transaction.putVolume(entry));
      for (const method of ["Get", "Path", "Remove", "Mount"]) {
        const request = { Name: "wiki", ID: hexId };
        expect(await errorOf(bench, method, request)).toStartWith("no such volume");
      }
      expect((await call(bench, "List", {})).json).toEqual({ Volumes: [], Err: "" });
    }
    expect(volumes.inspect("wiki").phase).toBe("releasing");
  });

  test("a mounted volume is in use, and is not removed", async () => {
    await using bench = await startedPlugin();
    await create(bench, "wiki");
    const mounted = await call(bench, "Mount", { Name: "wiki", ID: hexId });
    expect(mounted.json).toEqual({
      Mountpoint: bench.engine.engine.volumes.inspect("wiki").mountpoint,
      Err: "",
    });
    const { json } = await call(bench, "Get", { Name: "wiki" });
    expect(json).toMatchObject({
      Volume: { Status: { state: "in use", holders: [`${hexId} (client)`] } },
    });
    expect(await errorOf(bench, "Remove", { Name: "wiki" })).toBe(
      `volume is in use - [${hexId}]. Remove the containers that are named, have other ` +
        "holders unmount it, and wait for its locks; then try again.",
    );
    expect(await errorOf(bench, "Unmount", { Name: "wiki", ID: hexId })).toBe("");
    expect(await errorOf(bench, "Remove", { Name: "wiki" })).toBe("");
    expect(await errorOf(bench, "Unmount", { Name: "wiki", ID: hexId })).toBe("");
    expect(rows(bench)).toEqual([]);
  });

  test("a holder's id is checked", async () => {
    await using bench = await startedPlugin();
    await create(bench, "wiki");
    for (const ID of ["", "a\nb", "x".repeat(256)]) {
      for (const method of ["Mount", "Unmount"]) {
        const error = await errorOf(bench, method, { Name: "wiki", ID });
        expect(error).toEndWith("1 to 255 printable characters are allowed");
      }
    }
  });
});

describe("the caller", () => {
  for (const method of ["Create", "Get", "Mount"]) {
    test(`is remembered before ${method} does anything`, async () => {
      const noted = gate();
      let isNoted = false;
      const asked: boolean[] = [];
      await using bench = await startedPlugin({
        noteCaller: () => noted.opened,
        mount: () => Promise.resolve(`/${asked.push(isNoted)}`),
      });
      const request = { name: "there", options: null, labels: null };
      await bench.engine.engine.volumes.create(request, bench.engine.operation());
      let hasAnswered = false;
      const Name = method === "Create" ? "wiki" : "there";
      const answer = errorOf(bench, method, { Name, ID: hexId }).then((error) => {
        hasAnswered = true;
        return error;
      });
      // A call that waits for nobody has long answered.
      await errorOf(bench, "List", {});
      await errorOf(bench, "Path", { Name: "there" });
      expect([hasAnswered, asked.length, rows(bench)]).toEqual([false, 0, ["there"]]);
      isNoted = true;
      noted.open();
      expect(await answer).toBe("");
      expect(asked).toEqual(method === "Mount" ? [true] : []);
    });

    test(`that cannot be remembered gets no ${method}`, async () => {
      await using bench = await startedPlugin({
        noteCaller: () => Promise.reject(new EngineError("storage.full", "no space is left")),
      });
      expect(await errorOf(bench, method, { Name: "wiki", ID: hexId })).toBe(
        "no space is left. Free space below the data root; removing volumes still works.",
      );
      expect(rows(bench)).toEqual([]);
    });
  }
});

test("a bug is answered with its report id and logged", async () => {
  await using bench = await startedPlugin({
    mount: () => Promise.reject(new TypeError("undefined is no function")),
  });
  await create(bench, "wiki");
  expect(await errorOf(bench, "Mount", { Name: "wiki", ID: hexId })).toBe(
    "undefined is no function (report id test). Report it with the report id and the log lines " +
      "that carry it.",
  );
  expect(bench.engine.log.filter((line) => line.level === "error")).toHaveLength(1);
});
