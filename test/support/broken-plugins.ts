// Plugins that break one promise of Docker's protocol each; each must be caught by its check.
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { PluginCalls } from "./model-plugin.ts";

export interface BrokenPlugin {
  readonly fault: string;
  readonly promise: string;
  /** `calls` are those of a plugin that breaks none; `folder` has its volumes. */
  break(calls: PluginCalls, folder: string): PluginCalls;
}

/** One call of a plugin, which is there. */
function original(calls: PluginCalls, method: string) {
  return calls[method] ?? (() => ({ Err: `no ${method}` }));
}

function replace(method: string, answer: (body: { Name?: string }) => unknown) {
  return (calls: PluginCalls): PluginCalls => ({ ...calls, [`VolumeDriver.${method}`]: answer });
}

/** Changes the Volume that Get answers. */
function changedVolume(change: Readonly<Record<string, unknown>>) {
  return (calls: PluginCalls): PluginCalls => {
    const get = original(calls, "VolumeDriver.Get");
    const changed = (body: { Name?: string }): unknown => {
      // The model's own answer.
      const { Volume } = get(body) as { Volume: object };
      return { Volume: { ...Volume, ...change } };
    };
    return { ...calls, "VolumeDriver.Get": changed };
  };
}

const never = new Promise<never>(() => undefined);

const brokenAnswers: readonly BrokenPlugin[] = [
  {
    fault: "is an authorization plugin",
    promise: "`Plugin.Activate` MUST answer an `Implements` list that has `VolumeDriver`.",
    break: (calls) => ({ ...calls, "Plugin.Activate": () => ({ Implements: ["authz"] }) }),
  },
  {
    fault: "answers a text",
    promise: "An answer of status 200 MUST be a JSON object.",
    break: (calls) => {
      const unmount = original(calls, "VolumeDriver.Unmount");
      const answer = (body: object) => {
        unmount(body);
        return { status: 200, body: "OK" };
      };
      return { ...calls, "VolumeDriver.Unmount": answer };
    },
  },
  {
    fault: "tells a failure by an object",
    promise: "A failure MUST be told by a text in `Err` or by a status from 400 on.",
    break: replace("Mount", () => ({ Err: { text: "no" } })),
  },
  {
    fault: "does not answer what it does not know",
    promise: "A call that the plugin does not know MUST be answered all the same.",
    break: replace("HoldfastVerifyUnknown", () => never),
  },
  {
    fault: "ends when it cannot read a name",
    promise: "A body that makes no sense MUST be answered, and MUST NOT end the plugin.",
    break: (calls) => {
      let isDead = false;
      const get = original(calls, "VolumeDriver.Get");
      const activate = original(calls, "Plugin.Activate");
      return {
        ...calls,
        "VolumeDriver.Get": (body) => {
          if (typeof body.Name === "number") isDead = true;
          return get(body);
        },
        "Plugin.Activate": (body) => (isDead ? never : activate(body)),
      };
    },
  },
  {
    fault: "takes one call at a time",
    promise: "Calls that come at the same time MUST all be answered.",
    break: (calls) => {
      let isBusy = false;
      const create = original(calls, "VolumeDriver.Create");
      const slowly = async (body: object) => {
        if (isBusy) return { Err: "busy" };
        isBusy = true;
        await Bun.sleep(1);
        isBusy = false;
        return create(body);
      };
      return { ...calls, "VolumeDriver.Create": slowly };
    },
  },
];

const brokenVolumes: readonly BrokenPlugin[] = [
  {
    fault: "tells another name",
    promise: "What `Create` made, `Get` MUST tell by its name.",
    break: changedVolume({ Name: "another" }),
  },
  {
    fault: "cannot create twice",
    promise:
      "Repeating `Create` with the same options MUST succeed, and MUST leave the data as it is.",
    break: (calls, folder) => {
      const create = original(calls, "VolumeDriver.Create");
      const once = (body: { Name?: string }) => {
        if (readdirSync(folder).includes(body.Name ?? "")) throw new Error("it exists");
        return create(body);
      };
      return { ...calls, "VolumeDriver.Create": once };
    },
  },
  {
    fault: "makes what it refuses",
    promise:
      "An option that the plugin does not know MUST be refused or ignored, and what was refused " +
      "MUST NOT be there.",
    break: (calls) => {
      const create = original(calls, "VolumeDriver.Create");
      const both = (body: { Name?: string; Opts?: object | null }) => {
        create({ ...body, Opts: null });
        return create({ Name: `${body.Name}`, Opts: { ...body.Opts } });
      };
      return { ...calls, "VolumeDriver.Create": both };
    },
  },
  {
    fault: "tells of everything",
    promise: "`Get` MUST answer `Err`, or no `Volume`, for what does not exist.",
    break: replace("Get", ({ Name }) => ({ Volume: { Name } })),
  },
  {
    fault: "tells the time as Unix does",
    promise: "`CreatedAt` of `Get`, where it is there, MUST be a time of RFC 3339.",
    break: changedVolume({ CreatedAt: "Fri Jan  2 03:04:05 2026" }),
  },
  {
    fault: "has a text as its status",
    promise: "`Status` of `Get`, where it is there, MUST be an object.",
    break: changedVolume({ Status: "fine" }),
  },
  {
    fault: "tells a relative path",
    promise: "`Mountpoint` of `Get`, `List` and `Path` MUST be an absolute path, empty or missing.",
    break: changedVolume({ Mountpoint: "volumes/it" }),
  },
  {
    fault: "lists a volume twice",
    promise: "`List` MUST have every volume once.",
    break: (calls) => {
      const list = original(calls, "VolumeDriver.List");
      const twice = () => {
        // The model's own answer.
        const { Volumes } = list({}) as { Volumes: readonly object[] };
        return { Volumes: [...Volumes, ...Volumes] };
      };
      return { ...calls, "VolumeDriver.List": twice };
    },
  },
  {
    fault: "has a scope of its own",
    promise: "`Capabilities`, where the plugin knows it, MUST say the scope `local` or `global`.",
    break: replace("Capabilities", () => ({ Capabilities: { Scope: "cluster" } })),
  },
  {
    fault: "removes nothing",
    promise: "After `Remove`, `Get` MUST deny the volume, and `List` MUST NOT have it.",
    break: replace("Remove", () => ({})),
  },
  {
    fault: "keeps the data of what is removed",
    promise: "What a removed volume held MUST NOT be in a new one of its name.",
    break: (calls, folder) => {
      const create = original(calls, "VolumeDriver.Create");
      const kept = new Set<string>();
      const again = ({ Name = "", ...body }: { Name?: string }) => {
        const answer = create({ ...body, Name });
        if (kept.has(Name)) writeFileSync(join(folder, Name, "data"), "of the first");
        kept.add(Name);
        return answer;
      };
      return { ...calls, "VolumeDriver.Create": again };
    },
  },
  {
    fault: "makes what it is asked about",
    promise: "A call about a volume that does not exist MUST be answered, and MUST NOT make it.",
    break: (calls) => {
      const create = original(calls, "VolumeDriver.Create");
      const path = original(calls, "VolumeDriver.Path");
      const made = ({ Name = "" }) => {
        create({ Name });
        return path({ Name });
      };
      return { ...calls, "VolumeDriver.Path": made };
    },
  },
  {
    fault: "cuts long names",
    promise: "A name of 2 to 255 of `[a-zA-Z0-9_.-]` MUST work or be refused.",
    break: (calls) => {
      const cut = Object.entries(calls).map(([method, call]) => {
        const changed: typeof call = (body) =>
          call(body.Name === undefined ? body : { ...body, Name: `${body.Name}`.slice(0, 64) });
        return [method, changed] as const;
      });
      return Object.fromEntries(cut);
    },
  },
  {
    fault: "takes names that differ in case for one",
    promise: "Two names MUST be two volumes, also where they differ in case only.",
    break: (calls) => {
      const lower = Object.entries(calls).map(([method, call]) => {
        const changed: typeof call = (body) =>
          call(body.Name === undefined ? body : { ...body, Name: `${body.Name}`.toLowerCase() });
        return [method, changed] as const;
      });
      return Object.fromEntries(lower);
    },
  },
  {
    fault: "tells the time of the last look",
    promise: "`CreatedAt` SHOULD stay as it is for as long as the volume exists.",
    break: (calls) => {
      let count = 0;
      const get = original(calls, "VolumeDriver.Get");
      const later = (body: object) => {
        // The model's own answer.
        const { Volume } = get(body) as { Volume: object };
        count += 1;
        const seconds = String(count % 60).padStart(2, "0");
        return { Volume: { ...Volume, CreatedAt: `2026-01-02T03:04:${seconds}Z` } };
      };
      return { ...calls, "VolumeDriver.Get": later };
    },
  },
];

const brokenMounts: readonly BrokenPlugin[] = [
  {
    fault: "mounts at a relative path",
    promise: "`Mount` MUST answer the absolute path of a directory.",
    break: replace("Mount", ({ Name }) => ({ Mountpoint: `volumes/${Name}` })),
  },
  {
    fault: "mounts what is not there",
    promise: "`Mount` MUST fail for a volume that does not exist.",
    break: (calls, folder) => {
      const mountAny = ({ Name = "" }) => {
        mkdirSync(join(folder, Name), { recursive: true });
        return { Mountpoint: join(folder, Name) };
      };
      return { ...calls, "VolumeDriver.Mount": mountAny };
    },
  },
  {
    fault: "refuses a second mount of one ID",
    promise: "Repeating `Mount` with the same ID MUST succeed, and show the same data.",
    break: (calls) => {
      const ids = new Set<string>();
      const mount = original(calls, "VolumeDriver.Mount");
      const once = (body: { Name?: string; ID?: string }) => {
        const key = `${body.Name} ${body.ID}`;
        if (ids.has(key)) throw new Error("it is mounted");
        ids.add(key);
        return mount(body);
      };
      return { ...calls, "VolumeDriver.Mount": once };
    },
  },
  {
    fault: "gives each ID a directory of its own",
    promise: "Two IDs MUST see the same data.",
    break: (calls, folder) => {
      const mount = original(calls, "VolumeDriver.Mount");
      const apart = (body: { Name?: string; ID?: string }) => {
        mount(body);
        const own = join(folder, body.Name ?? "", body.ID ?? "");
        mkdirSync(own, { recursive: true });
        return { Mountpoint: own };
      };
      return { ...calls, "VolumeDriver.Mount": apart };
    },
  },
  {
    fault: "unmounts for everybody",
    promise: "`Unmount` of one ID MUST leave what another has mounted.",
    break: (calls, folder) => emptiedAtUnmount(calls, folder),
  },
  {
    fault: "empties what it unmounts",
    promise: "What was written MUST be there again at the next `Mount`.",
    break: (calls, folder) => emptiedAtUnmount(calls, folder),
  },
  {
    fault: "counts the mounts of one ID",
    promise: "One `Unmount` SHOULD end all that its ID has mounted, however often that was.",
    break: (calls) => {
      let count = 0;
      const mount = original(calls, "VolumeDriver.Mount");
      const unmount = original(calls, "VolumeDriver.Unmount");
      return {
        ...calls,
        "VolumeDriver.Mount": (body) => {
          count += 1;
          return mount(body);
        },
        "VolumeDriver.Unmount": (body) => {
          count -= 1;
          return count > 0 ? {} : unmount(body);
        },
      };
    },
  },
  {
    fault: "cannot unmount what is not mounted",
    promise: "`Unmount` of what is not mounted SHOULD succeed.",
    break: (calls) => {
      const ids = new Set<string>();
      const mount = original(calls, "VolumeDriver.Mount");
      const unmount = original(calls, "VolumeDriver.Unmount");
      return {
        ...calls,
        "VolumeDriver.Mount": (body) => {
          ids.add(`${body.Name} ${body.ID}`);
          return mount(body);
        },
        "VolumeDriver.Unmount": (body) => {
          if (!ids.delete(`${body.Name} ${body.ID}`)) throw new Error("not mounted");
          return unmount(body);
        },
      };
    },
  },
];

/** A mount that ends takes what was in it along. */
function emptiedAtUnmount(calls: PluginCalls, folder: string): PluginCalls {
  const unmount = original(calls, "VolumeDriver.Unmount");
  const emptied = (body: { Name?: string }) => {
    const place = join(folder, body.Name ?? "");
    for (const each of readdirSync(place)) rmSync(join(place, each), { recursive: true });
    return unmount(body);
  };
  return { ...calls, "VolumeDriver.Unmount": emptied };
}

export const brokenPlugins: readonly BrokenPlugin[] = [
  ...brokenAnswers,
  ...brokenVolumes,
  ...brokenMounts,
];
