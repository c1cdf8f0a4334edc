// Mounts and unmounts through helper processes, and believes the mount table only.
//
// What an abandoned mount still brings about is undone, because nobody was told of it.
import { lstatSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { EngineError } from "../core/errors.ts";
import type { Host, MountInfo, MountRequest, ProgramResult } from "../core/host.ts";
import { topmostAt, trueTarget } from "./mount-table.ts";
import { findProgram, programMissing, type StartProgram } from "./programs.ts";
import { maskSecrets, maskSecretsOf } from "./secrets.ts";
import { TargetPrograms } from "./target-programs.ts";

/** What a mount of this type runs by itself, where it is installed. */
const mountPrograms: Readonly<Record<string, string>> = {
  nfs: "mount.nfs",
  nfs4: "mount.nfs",
  cifs: "mount.cifs",
  smb3: "mount.cifs",
};

/** Names that mount(8) takes for a list, an exclusion or an option would not reach the kernel. */
const plainType = /^(?!no(?!ne$))[a-zA-Z0-9][a-zA-Z0-9_.+-]*$/;

/**
 * How long a look of our own may be in the way of an unmount, in milliseconds: they end, but on a
 * busy machine it takes seconds to start their programs alone.
 */
const BUSY_MS_MAX = 8_000;
const BUSY_PAUSE_MS = 25;

export interface MountsParts {
  readonly start: StartProgram;
  readonly table: () => readonly MountInfo[];
  /** See `Looks`. */
  readonly isLookedAt: (target: string) => boolean;
}

/**
 * The `mount` and `unmount` of core/host.ts. The options, secrets too, stand in the argument list
 * of mount(8) while it runs.
 */
export function makeMounts({
  start,
  table,
  isLookedAt,
}: MountsParts): Pick<Host, "mount" | "unmount"> {
  const programs = new TargetPrograms(start);

  const unmountAt = async (target: string, signal: AbortSignal): Promise<void> => {
    await programs.untilFree(target, signal);
    const before = topmostAt(table(), target);
    if (before === undefined) return;
    const untilMs = performance.now() + BUSY_MS_MAX;
    let result: ProgramResult;
    let words: string;
    for (;;) {
      const wasLookedAt = isLookedAt(target);
      result = await programs.run(target, ["umount", ...unmountArguments(target)], signal);
      // The program's status is advice: another may have unmounted it in between.
      if (topmostAt(table(), target)?.mountId !== before.mountId) return;
      words = wordsOf("umount", target, result);
      const mayPass = words.includes("busy") && (wasLookedAt || isLookedAt(target));
      if (!mayPass || performance.now() > untilMs) break;
      await pause(BUSY_PAUSE_MS, undefined, { signal });
    }
    throw new EngineError("volume.unmount_failed", `unmount ${target}: ${words}`, {
      details: { target, exitCode: result.exitCode, words },
    });
  };

  return {
    async mount(asked, { signal }) {
      const target = trueTarget(asked.target);
      const request = { ...asked, target };
      if (request.type !== "" && !plainType.test(request.type)) {
        throw mountFailed(request, `unknown filesystem type '${request.type}'`);
      }
      await programs.untilFree(target, signal);
      if (topmostAt(table(), target) === undefined && isOtherThanFolder(target)) {
        throw mountFailed(request, "mount point is not a directory");
      }
      // The kernel gives ids of mounts that ended to new ones: only an id that is still here
      // counts.
      const before = topmostAt(table(), target)?.mountId;
      const isMounted = () => {
        const top = topmostAt(table(), target);
        return top !== undefined && top.mountId !== before;
      };
      const result = await programs.run(target, ["mount", ...mountArguments(request)], signal, {
        // No deadline: the target stays closed for as long as it takes.
        async afterAbandoned() {
          if (isMounted()) await start("umount", unmountArguments(target)).result;
        },
      });
      if (result.exitCode === 0 && isMounted()) return;
      const failure = explain(request, result);
      if (isMounted()) await unmountAt(target, signal);
      throw failure;
    },

    async unmount(target, { signal }) {
      await unmountAt(trueTarget(target), signal);
    },
  };
}

/** A symbolic link would send the mount elsewhere. What is missing, mount(8) reports. */
function isOtherThanFolder(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === false;
}

function mountArguments({ type, device, target, options }: MountRequest): string[] {
  // The kernel gets the paths as they are, as from Docker: nobody looks them up before it.
  const args = ["--no-canonicalize"];
  // A bind mount needs no type, and mount(2) takes an empty one.
  if (type !== "") args.push("-t", type);
  if (options !== "") args.push("-o", options);
  return [...args, "--", device, target];
}

function unmountArguments(target: string): string[] {
  return ["--no-canonicalize", "--", target];
}

function explain(request: MountRequest, result: ProgramResult): EngineError {
  if (result.exitCode === 0) {
    return mountFailed(request, "mount reported success, but nothing new is mounted there");
  }
  const words = maskSecretsOf(
    [request.device, request.options],
    wordsOf("mount", request.target, result),
  );
  const program = mountPrograms[request.type];
  const isKernelWithout = words.startsWith("unknown filesystem type");
  if (program !== undefined && !isKernelWithout && findProgram(program) === undefined) {
    return programMissing(program, `, and without it: ${describe(request)}: ${words}`);
  }
  return mountFailed(request, words, result.exitCode);
}

function mountFailed(request: MountRequest, words: string, exitCode?: number): EngineError {
  return new EngineError("volume.mount_failed", `${describe(request)}: ${words}`, {
    details: { target: request.target, type: request.type, exitCode, words },
  });
}

/** Docker's order: device, target, type, data. */
function describe({ device, target, type, options }: MountRequest): string {
  const data = options === "" ? "" : `, data: ${maskSecrets(options)}`;
  return `mount ${maskSecrets(device)}:${target}, type: ${type}${data}`;
}

/** The program's own words on one line, without its name, the target and the hint at dmesg. */
function wordsOf(program: string, target: string, { stderr, exitCode }: ProgramResult): string {
  const words = stderr
    .split("\n")
    .map((line) => line.trim().replace(`${program}: ${target}: `, ""))
    .filter((line) => line !== "" && !line.startsWith("dmesg(1) may have more"))
    .join("; ")
    .replace(/\.$/, "");
  return words === "" ? `${program} ended with status ${exitCode}` : words;
}
