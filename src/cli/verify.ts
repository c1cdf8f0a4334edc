// `holdfast verify driver NAME`: runs the conformance checks on the user's own storage.
import type { Invocation } from "./command.ts";
import { CliFailure, DaemonRefusal, DaemonUnreachable } from "./failure.ts";
import { ownPath } from "./own-client.ts";
import { type OwnPlugin, readOwnPlugins } from "./own-plugin.ts";
import { keyValues } from "./volume.ts";

export interface VerifyRequest {
  readonly driver: string;
  readonly options: Readonly<Record<string, string>>;
  /** An empty directory on the storage; without it the checks choose one. */
  readonly root: string | undefined;
}

export interface VerifyReport {
  /** Every promise was kept, and everything the checks made is removed. */
  readonly isWhole: boolean;
  /** For people, with its line ends. */
  readonly text: string;
  /** One per promise, for `--json`. */
  readonly promises: readonly {
    readonly promise: string;
    readonly outcome: "kept" | "broken" | "not_applicable";
    /** Why it is broken, in a sentence. */
    readonly reason?: string | undefined;
    /** Something that is only wished for: broken, it is no failure. */
    readonly isAdvice?: true;
  }[];
  /** What the checks made and could not remove again, in words for a person. */
  readonly leftBehind: readonly string[];
}

export interface VerifyPluginRequest {
  /** A plugin's name, or the path of a socket. */
  readonly plugin: string;
  /** For the volumes that the checks make. */
  readonly options: Readonly<Record<string, string>>;
  /** The plugin, where a running daemon has it. */
  readonly managed: OwnPlugin | undefined;
}

export type VerifyPlugin = (request: VerifyPluginRequest) => Promise<VerifyReport>;

/** Given by the program that assembles everything: no check and no driver is known here. */
export type VerifyDriver = (request: VerifyRequest) => Promise<VerifyReport>;

/** Exit codes of STYLE.md, section 6. */
const exits = { conflict: 4, unsupported: 6 };

export async function verifyPlugin(invocation: Invocation): Promise<number> {
  const { options, positional, parts } = invocation;
  if (parts.verifyPlugin === undefined) {
    throw new CliFailure("this build of holdfast has no conformance checks", exits.unsupported);
  }
  const [plugin = ""] = positional;
  const isSocket = /^\.{0,2}\//.test(plugin) || plugin.endsWith(".sock");
  const managed = isSocket ? undefined : await findPlugin(plugin, invocation);
  const report = await parts.verifyPlugin({
    plugin,
    options: keyValues(options.all("opt")) ?? {},
    managed,
  });
  return await printReport(report, invocation);
}

export async function verify(invocation: Invocation): Promise<number> {
  const { options, positional, parts } = invocation;
  if (parts.verifyDriver === undefined) {
    throw new CliFailure("this build of holdfast has no conformance checks", exits.unsupported);
  }
  const report = await parts.verifyDriver({
    driver: positional[0] ?? "",
    options: keyValues(options.all("opt")) ?? {},
    root: options.text("root"),
  });
  return await printReport(report, invocation);
}

async function printReport(report: VerifyReport, invocation: Invocation): Promise<number> {
  const { options, terminal } = invocation;
  const leftBehind = report.leftBehind.map((what) => ({ leftBehind: what }));
  const lines = [...report.promises, ...leftBehind].map((line) => `${JSON.stringify(line)}\n`);
  await terminal.out(options.flag("json") ? lines.join("") : report.text);
  return report.isWhole ? 0 : exits.conflict;
}

/** A daemon that does not run, or has no such plugin, is no reason to stop: it may be a socket. */
async function findPlugin(name: string, { client }: Invocation): Promise<OwnPlugin | undefined> {
  try {
    const own = ownPath(["plugins", name]);
    return await client.json<OwnPlugin>({ method: "GET", path: own }).catch(async (error) => {
      if (!(error instanceof DaemonRefusal)) throw error;
      const plugins = (await readOwnPlugins(client)) ?? [];
      return plugins.find((plugin) => plugin.name === name);
    });
  } catch (error) {
    if (error instanceof DaemonUnreachable) return undefined;
    throw error;
  }
}
