// Ends what waits for a FUSE file system whose process says nothing: `abort` of fusectl.
//
// Its usual place (/sys/fs/fuse/connections) is not mounted everywhere, so we have a mount of our
// own for the moment, which is nowhere in the tree.
import { writeFileSync } from "node:fs";
import { isErrno, storageError } from "../core/errors.ts";
import { closeDescriptor } from "./libc.ts";
import { mountNowhere } from "./libc-mount-points.ts";

/** How the kernel puts a device's two numbers into one, which is the connection's name. */
const MINOR_BITS = 20;

/** The `abortFuse` of core/host.ts. */
export function abortFuse(device: string): boolean {
  const [major = 0, minor = 0] = device.split(":").map(Number);
  const connection = major * 2 ** MINOR_BITS + minor;
  let control: number | undefined;
  try {
    control = mountNowhere("fusectl");
    writeFileSync(`/proc/self/fd/${control}/${connection}/abort`, "1");
    return true;
  } catch (thrown) {
    if (isErrno(thrown, "ENOENT") || isErrno(thrown, "ENODEV")) return false;
    throw storageError(thrown, `aborting the FUSE connection of ${device}`);
  } finally {
    if (control !== undefined) closeDescriptor(control);
  }
}
