// What each measured ability means, and what its figure is: for people.
import type { Ability } from "../../core/volume-report.ts";

export interface AbilityWords {
  /** What is tried, or what it follows from: a sentence without its full stop. */
  readonly tried: string;
  /** What the figure is, with its unit; missing: there is none. */
  readonly figure?: string;
}

export const abilityWords: Readonly<Record<Ability, AbilityWords>> = {
  writable: { tried: "A directory and a file are made and read again" },
  "free-space": { tried: "statfs(2); `no` below 1 GiB", figure: "free bytes" },
  "free-files": { tried: "statfs(2); `no` below 10,000", figure: "files that can be made" },
  "atomic-rename": {
    tried: "A file is replaced by renames while a second process reads it: never missing or torn",
  },
  "exclusive-create": {
    tried: "Two processes create the same 40 files with O_EXCL at once: each has one maker",
  },
  "hard-links": { tried: "What is written to one of two names is in the other" },
  symlinks: { tried: "A link is kept as given, also one that leads upwards" },
  "special-files": { tried: "A fifo and a device are made (a device as root only)" },
  "unlink-open": { tried: "A removed file that is open can be written and read still" },
  "user-attributes": { tried: "A `user.` attribute is kept" },
  "security-attributes": { tried: "A `security.` attribute is kept (as root only)" },
  "trusted-attributes": { tried: "A `trusted.` attribute is kept (as root only)" },
  acls: { tried: "A POSIX access list with one more user is kept" },
  owners: { tried: "A file that was given away belongs to its new owner (as root only)" },
  modes: { tried: "Permission bits are kept as set" },
  times: {
    tried: "A file's time is kept; `no` where it is coarser than a millisecond",
    figure: "nanoseconds that it is rounded to",
  },
  "case-sensitive": { tried: "`letter` is not found where there is `Letter`" },
  "names-as-given": {
    tried: "Colons, backslashes, trailing dots, umlauts and the like are listed as they were given",
  },
  "long-names": { tried: "A name of 255 bytes can be had", figure: "bytes of the longest" },
  "sparse-files": { tried: "A file with a hole of 64 MiB does not take that space" },
  "large-files": { tried: "A byte behind 5 GiB can be written; not tried where holes take space" },
  flock: { tried: "A lock by flock(2) keeps a second process out until it is given back" },
  "posix-locks": { tried: "The same by fcntl(2), F_SETLK" },
  "ofd-locks": { tried: "The same by fcntl(2), F_OFD_SETLK" },
  "shared-mmap": { tried: "Two processes see at once what the other writes into shared memory" },
  append: { tried: "Two processes append 200 lines each to one file: all are there, and whole" },
  "flock-elsewhere": { tried: "As `flock`, the second process through a client of its own" },
  "posix-locks-elsewhere": { tried: "As `posix-locks`, through a client of its own" },
  "append-elsewhere": { tried: "As `append`, through a client of its own" },
  "visible-elsewhere": {
    tried: "What is written and closed is what another client reads at its next open",
    figure: "milliseconds until it is seen",
  },
  fsync: {
    tried: "4 KiB are written and synced, up to 100 times",
    figure: "milliseconds, the median",
  },
  "fsync-directory": {
    tried: "A file is made and its directory synced, up to 100 times",
    figure: "milliseconds, the median",
  },
  "direct-io": { tried: "A file can be opened with O_DIRECT" },
  "small-files": { tried: "Files of 100 bytes are made", figure: "files a second" },
  "on-this-machine": { tried: "Follows from the kind of file system" },
  "survives-power-cut": {
    tried: "Follows from the kind of file system, its options, and whether it is written later",
  },
  "waits-for-server": {
    tried: "Follows from the kind of file system and its options (`hard`, `soft`)",
  },
};
