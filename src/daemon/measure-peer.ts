// `holdfast measure-peer DIRECTORY`: the second process of a measurement (host/measure/).
import { loadFileCalls } from "../host/libc-files.ts";
import { loadStorageCalls } from "../host/libc-storage.ts";
import { servePeer } from "../host/measure/peer.ts";
import { makePeerWork } from "../host/measure/peer-work.ts";

/** Not for people: no help, no place in the table of commands. Returns the exit status. */
export async function runMeasurePeer([directory]: readonly string[]): Promise<number> {
  if (directory === undefined) {
    console.error("measure-peer: DIRECTORY is missing");
    return 2;
  }
  const work = makePeerWork(loadStorageCalls());
  if (process.getuid?.() === 0) {
    // As the measuring process: names of the volume lead nowhere else.
    process.chdir(directory);
    loadFileCalls().changeRoot(Buffer.from(".\0"));
    process.chdir("/");
  }
  await servePeer(work);
  return 0;
}
