// The file of `lock run --file`: which directory it is in, and who has the volume mounted for it.
import type { HeldFile } from "../core/foreground.ts";
import type { Invocation } from "./command.ts";
import { CliFailure } from "./failure.ts";
import { notStartedExit } from "./lock-exits.ts";
import type { GrantedLock } from "./lock-place.ts";
import { ask, ownPath, tell } from "./own-client.ts";

/** How long storage may take to open a file before it counts as silent, in milliseconds. */
const OPEN_MS_MAX = 15_000;

interface VolumePlace {
  readonly driver: string;
  readonly mountpoint: string;
  readonly options: Readonly<Record<string, string>> | null;
}

interface LockedFile {
  readonly held: HeldFile;
  /** Ends our use of the volume. Never throws. */
  end(): Promise<void>;
}

/**
 * Where the file is. What must be mounted is mounted for us, as a client: as one of the lock's
 * name, so that the next one ends what a killed one has left.
 */
export async function lockedFile(
  { options, client }: Invocation,
  lock: GrantedLock,
  untilMs: number | undefined,
): Promise<LockedFile> {
  const { volume, mode } = lock;
  const path = (options.text("file") ?? "").replace(/^\/+/, "");
  if (path === "") throw new CliFailure("--file needs the path of a file", notStartedExit);
  const found = await ask<VolumePlace>(client, {
    method: "GET",
    path: ownPath(["volumes", volume]),
  });
  const isPlain = found.driver === "local" && found.options?.["device"] === undefined;
  const holder =
    mode === "shared" ? `lock run ${lock.lock} ${lock.fence}` : `lock run ${lock.lock}`;
  const holderPath = ownPath(["volumes", volume, "holders", holder]);
  const mounted = isPlain
    ? undefined
    : await ask<{ readonly path: string }>(client, { method: "PUT", path: holderPath });
  const waitMs = untilMs === undefined ? undefined : Math.max(0, untilMs - performance.now());
  const directory = mounted?.path ?? found.mountpoint;
  return {
    held: { directory, path, mode, openMs: OPEN_MS_MAX, waitMs },
    async end() {
      if (isPlain) return;
      // It is ended by the next one otherwise, or by whoever looks at the volume's holders.
      await tell(client, { method: "DELETE", path: holderPath }).catch(() => undefined);
    },
  };
}
