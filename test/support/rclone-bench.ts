// One mount of the rclone driver's kind, without the driver around it: for what rclone itself does.
import { closeSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseVolumeName } from "../../src/core/names.ts";
import { SecretValue } from "../../src/core/secret-store.ts";
import { rcloneKind } from "../../src/drivers/rclone/driver.ts";
import type { RcloneMount } from "../../src/drivers/rclone/mounts.ts";
import { linuxHost } from "../../src/host/linux.ts";
import { runToEnd } from "./child.ts";
import { testOperation } from "./operation.ts";

/** In memory: a loop of mounts must not wait for a disk. */
const place = "/dev/shm";

export interface RcloneBench extends AsyncDisposable {
  /** Where the volume's data is. */
  readonly target: string;
  readonly keepDirectory: string;
  readonly runDirectory: string;
  readonly description: RcloneMount;
  mount(): Promise<void>;
  unmount(how?: { readonly isLost: boolean }): Promise<void>;
  look(): ReturnType<NonNullable<ReturnType<typeof rcloneKind>["look"]>>;
  /** Of the rclone that serves it. */
  pid(): number;
}

/** `secret` "": none. */
export function rcloneBench(
  options: Readonly<Record<string, string>>,
  secret: string,
  more: { readonly subpath?: string; readonly isReadOnly?: boolean } = {},
): RcloneBench {
  const own = mkdtempSync(join(place, "holdfast-rclone-"));
  const directory = (name: string): string => {
    mkdirSync(join(own, name), { mode: 0o700 });
    return join(own, name);
  };
  const kind = rcloneKind(linuxHost());
  const description: RcloneMount = {
    volume: parseVolumeName("wiki"),
    options: kind.parse(options),
    subpath: more.subpath ?? "",
    target: directory("data"),
    isReadOnly: more.isReadOnly ?? false,
    secret:
      secret === "" ? undefined : async () => new SecretValue(new TextEncoder().encode(secret)),
    runDirectory: directory("run"),
    keepDirectory: directory("keep"),
  };
  const { target, keepDirectory, runDirectory } = description;
  const unmount = (how = { isLost: false }) => kind.unmount(description, how, testOperation());
  return {
    ...{ target, keepDirectory, runDirectory, description, unmount },
    mount: () => kind.mount(description, testOperation()),
    async look() {
      return (await kind.look?.(description, testOperation())) ?? {};
    },
    pid: () => JSON.parse(readFileSync(join(runDirectory, "process.json"), "utf8")).pid,
    async [Symbol.asyncDispose]() {
      await unmount({ isLost: true });
      rmSync(own, { recursive: true, force: true });
    },
  };
}

/** A password as rclone's configuration has it. */
export async function obscured(password: string): Promise<string> {
  const { stdout } = await runToEnd("rclone", ["obscure", "-"], {
    input: password,
    timeoutMs: 10_000,
  });
  return stdout.trim();
}

/** Closes files whose file system has died, which may fail. */
export function closeDead(...descriptors: readonly number[]): void {
  for (const descriptor of descriptors) {
    try {
      closeSync(descriptor);
    } catch {
      // It is closed all the same.
    }
  }
}
