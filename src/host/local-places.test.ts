// Which overlays ask nobody but this machine: by the mount table alone.
import { expect, test } from "bun:test";
import { isLocalOverlay } from "./local-places.ts";
import { parseMountTable } from "./mount-table.ts";

const own = parseMountTable(
  `20 1 8:1 / / rw - ext4 /dev/sda1 rw
21 20 0:40 / /nas rw - nfs4 server:/ rw
22 20 0:50 / /var/lib/docker/overlay2/a/merged rw - overlay overlay rw,upperdir=a/diff
23 21 0:51 / /nas/docker/overlay2/b/merged rw - overlay overlay rw,upperdir=b/diff
`,
);

const overlays: readonly (readonly [about: string, isLocal: boolean, line: string])[] = [
  ["all layers here", true, "0:60 overlay rw,lowerdir=/d/l/A:/d/l/B,upperdir=/d/u,workdir=/d/w"],
  ["a layer on a server", false, "0:60 overlay rw,lowerdir=/d/l/A:/nas/l,upperdir=/d/u"],
  ["written by newer programs", true, "0:60 overlay rw,lowerdir+=/d/l/A,lowerdir+=/d/l/B"],
  ["data of a layer on a server", false, "0:60 overlay rw,lowerdir=/d/l::/nas/l,upperdir=/d/u"],
  ["short names, mounted here", true, "0:50 overlay rw,lowerdir=l/A:l/B,upperdir=a/diff"],
  ["short names, on a server", false, "0:51 overlay rw,lowerdir=l/A:l/B,upperdir=b/diff"],
  ["short names, mounted nowhere here", false, "0:61 overlay rw,lowerdir=l/A,upperdir=c/diff"],
  ["no names", false, "0:61 overlay rw"],
  ["no overlay", false, "0:60 fuse.overlayfs rw,upperdir=/d/u"],
];

test.each(overlays)("%s: %p", (_about, isLocal, line) => {
  const [device = "", fileSystem = "", options = ""] = line.split(" ");
  const [mount] = parseMountTable(`90 89 ${device} / / rw - ${fileSystem} none ${options}\n`);
  if (mount === undefined) throw new Error("the line is none of a mount table");
  expect(isLocalOverlay(mount, own)).toBe(isLocal);
});
