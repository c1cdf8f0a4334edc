// What programs need of storage, as data: each rule with its reason and what to do about it.
//
// The reasons are what the programs' own manuals say: PostgreSQL's on file systems (creating a
// cluster), SQLite's on WAL and on how databases get corrupted, etcd's on hardware and disks,
// MySQL's on InnoDB and on NFS, Git's on core.fileMode, core.symlinks and core.ignoreCase, the
// Maildir page of qmail, the kernel's on overlayfs.
import type { Ability, StorageUse } from "../../core/volume-report.ts";

export interface Rule {
  readonly ability: Ability;
  /** "need": without it the use is unfit. "want": it works with care. */
  readonly kind: "need" | "want";
  /** The largest figure that will do; missing: the answer decides. */
  readonly most?: number;
  readonly because: string;
  readonly change: string;
}

export interface Use {
  readonly use: StorageUse;
  readonly title: string;
  readonly rules: readonly Rule[];
}

const localDisk = "keep it on this machine's disk (driver `local`), and back it up to this storage";
const otherFileSystem = "use a file system of Linux (ext4, xfs, btrfs), here or on the server";
const oneWriter = "create the volume with `sharing=onewriter`, and use it on one host at a time";
const posixServer =
  "over SMB ask the server for POSIX extensions, or use NFS or `local`, where files have owners";

type Words = readonly [because: string, change: string];
type Made = (ability: Ability, ...words: Words) => Rule;
const need: Made = (ability, because, change) => ({ ability, kind: "need", because, change });
const want: Made = (ability, because, change) => ({ ability, kind: "want", because, change });

const writes = need(
  "writable",
  "it writes",
  "see why the storage takes no writes: its mount options, its export, its space",
);
const hasSpace = want("free-space", "a full disk stops it", "free some, or move it");
const renames = need(
  "atomic-rename",
  "it replaces files by renaming new ones over them, and a crash between would lose both",
  localDisk,
);
const syncs = need(
  "fsync",
  "what it has told others must be on the storage, and fsync is how it makes sure",
  localDisk,
);
const survives = need(
  "survives-power-cut",
  "what was synced must still be there after a crash of this machine",
  localDisk,
);
const waits = need(
  "waits-for-server",
  "a write that fails because a server was away for a moment is damage to a database",
  "mount with `hard` (NFS, SMB); sshfs and rclone cannot wait",
);
const fast: Rule = {
  ...want("fsync", "each commit waits for a sync", "use faster storage, or group commits"),
  most: 20,
};
const syncsDirectories = want(
  "fsync-directory",
  "a new file's name is durable only when its directory was synced",
  localDisk,
);
const creates = need(
  "exclusive-create",
  "a lock file keeps a second one from starting on the same data",
  "use NFS version 3 or newer, SMB, or `local`",
);
const hasOwners = need(
  "owners",
  "it runs as a user of its own and refuses data of somebody else",
  `${posixServer}, or mount with that user's uid= and gid=`,
);
const hasModes = need(
  "modes",
  "it refuses a directory that others may read",
  `${posixServer}, or mount with dir_mode=0700`,
);
const isHere = want(
  "on-this-machine",
  "each commit waits for the network, and nothing keeps a second host out",
  oneWriter,
);

const database = [
  writes,
  syncs,
  survives,
  waits,
  renames,
  syncsDirectories,
  fast,
  hasSpace,
  isHere,
];

const databases: readonly Use[] = [
  {
    ...{ use: "postgresql", title: "PostgreSQL" },
    rules: [
      ...[...database, creates, hasOwners, hasModes],
      need("unlink-open", "it removes files that other processes have open", otherFileSystem),
      want("symlinks", "tablespaces are symbolic links", otherFileSystem),
    ],
  },
  {
    ...{ use: "mysql", title: "MySQL, MariaDB" },
    rules: [
      ...[...database, hasOwners],
      need("posix-locks", "InnoDB locks its files, so that no second server opens them", localDisk),
      want(
        "case-sensitive",
        "names of tables are names of files",
        "set lower_case_table_names=1 before the first start",
      ),
      want(
        "direct-io",
        "InnoDB keeps its own cache and asks for O_DIRECT",
        "set innodb_flush_method=fsync",
      ),
    ],
  },
  {
    ...{ use: "mongodb", title: "MongoDB" },
    rules: [
      ...[...database, creates],
      need("posix-locks", "mongod.lock keeps a second server out", localDisk),
    ],
  },
  {
    ...{ use: "sqlite-wal", title: "SQLite, WAL" },
    rules: [
      ...[writes, syncs, survives, waits, fast],
      need("posix-locks", "readers and writers keep out of each other's way by locks", localDisk),
      need(
        "shared-mmap",
        "all processes share the index of the log (-shm) as memory",
        "set journal_mode=DELETE, or use `local`",
      ),
      want(
        "on-this-machine",
        "memory is shared by processes of one host: two hosts would damage the database",
        oneWriter,
      ),
    ],
  },
  {
    ...{ use: "sqlite", title: "SQLite, rollback journal" },
    rules: [
      ...[writes, syncs, survives, waits, fast, syncsDirectories],
      need("posix-locks", "readers and writers keep out of each other's way by locks", localDisk),
      want("posix-locks-elsewhere", "processes of other hosts must see the locks, too", oneWriter),
    ],
  },
  {
    ...{ use: "redis", title: "Redis, append-only file" },
    rules: [
      ...[writes, syncs, survives, waits, renames, fast],
      need("append", "the log is written at its end", otherFileSystem),
    ],
  },
  {
    ...{ use: "rabbitmq", title: "RabbitMQ" },
    rules: [
      ...[writes, syncs, survives, waits, renames, isHere],
      need("append", "messages are written at the end of segments", otherFileSystem),
    ],
  },
  {
    ...{ use: "etcd", title: "etcd" },
    rules: [
      ...[writes, syncs, survives, waits, renames, isHere],
      { ...fast, most: 10, because: "a slow sync costs the leader its lead (10 ms at most)" },
      need("flock", "a lock keeps a second server out", localDisk),
      need("shared-mmap", "the database is read as memory while it is written", localDisk),
    ],
  },
  {
    ...{ use: "elasticsearch", title: "Elasticsearch, Lucene" },
    rules: [
      ...[writes, syncs, survives, waits, renames, syncsDirectories, isHere],
      need("posix-locks", "node.lock and write.lock keep a second node out", localDisk),
      want("shared-mmap", "segments are read as memory", "set index.store.type=niofs"),
    ],
  },
  {
    ...{ use: "influxdb", title: "InfluxDB, Prometheus" },
    rules: [
      ...[writes, syncs, survives, waits, renames, isHere],
      need("shared-mmap", "blocks and indexes are read as memory", localDisk),
      want("flock", "a lock keeps a second server out", oneWriter),
    ],
  },
];

const others: readonly Use[] = [
  {
    ...{ use: "git", title: "Git" },
    rules: [
      writes,
      need("exclusive-create", "index.lock is the lock of a repository", localDisk),
      renames,
      want("case-sensitive", "two files may differ by case alone", "set core.ignoreCase=true"),
      want("names-as-given", "a checkout needs the names it has", otherFileSystem),
      want("symlinks", "links are a kind of file to it", "set core.symlinks=false"),
      want("modes", "it keeps whether a file can be run", "set core.fileMode=false"),
      want("fsync", "objects are synced before they are referred to", localDisk),
      want("times", "changed files are found by their times", "expect a slower `git status`"),
    ],
  },
  {
    ...{ use: "static-files", title: "static files, many readers" },
    rules: [
      want("case-sensitive", "two pages may differ by case alone", otherFileSystem),
      want("symlinks", "releases are often switched by a link", "switch them by a rename"),
      want(
        "visible-elsewhere",
        "readers on other hosts see a change late",
        "mount there with shorter caches (actimeo=, --dir-cache-time)",
      ),
    ],
  },
  {
    ...{ use: "logs", title: "logs, many writers" },
    rules: [
      writes,
      need("append", "each writer appends, and no line may overwrite another", localDisk),
      want(
        "append-elsewhere",
        "two hosts that append to one file overwrite each other's lines",
        "have each host write a file of its own",
      ),
      want("unlink-open", "rotation removes what is still written to", "rotate with copytruncate"),
      hasSpace,
    ],
  },
  {
    ...{ use: "maildir", title: "mail, Maildir" },
    rules: [
      ...[writes, renames, creates],
      need("names-as-given", "flags are kept in names, behind a colon", otherFileSystem),
      want(
        "hard-links",
        "some deliver by a link, which never replaces a mail",
        "deliver by rename",
      ),
      want("fsync", "a mail is accepted when it is on the storage", localDisk),
      want("visible-elsewhere", "other hosts see new mail late", "read mail on one host"),
    ],
  },
  {
    ...{ use: "media", title: "media library" },
    rules: [
      writes,
      need("large-files", "films are larger than 4 GiB", otherFileSystem),
      want("names-as-given", "titles have all kinds of characters", "let the program clean names"),
      want("hard-links", "downloads are linked into the library, not copied", "let it copy"),
      want("long-names", "titles are long", "let the program shorten names"),
      hasSpace,
    ],
  },
  {
    ...{ use: "container-images", title: "container images, overlay" },
    rules: [
      writes,
      need("trusted-attributes", "overlayfs keeps what it hides in trusted.*", localDisk),
      need("special-files", "overlayfs marks a removed file with a device", localDisk),
      need("hard-links", "layers have them", localDisk),
      need("symlinks", "layers have them", localDisk),
      need("owners", "layers have files of many users", localDisk),
      need("modes", "layers have all modes", localDisk),
      need("case-sensitive", "layers have names that differ by case alone", localDisk),
      want("on-this-machine", "overlayfs takes few network file systems as its upper", localDisk),
    ],
  },
  {
    ...{ use: "web-app", title: "web application's files" },
    rules: [
      writes,
      want("owners", "uploads belong to the user it runs as", `${posixServer}, or mount with uid=`),
      want("modes", "some check who may write their configuration", "mount with file_mode="),
      want("flock", "sessions and caches are locked", "keep them in a database"),
      want("symlinks", "public storage is often a link", "copy instead"),
      want("case-sensitive", "names of classes are names of files", otherFileSystem),
    ],
  },
  {
    ...{ use: "backups", title: "backup repositories" },
    rules: [
      ...[writes, renames, creates],
      want("fsync", "a backup is done when it is on the storage", "verify backups afterwards"),
      want("waits-for-server", "a server that is away ends a backup", "run it again"),
      hasSpace,
    ],
  },
];

/** In the order of the report. */
export const uses: readonly Use[] = [...databases, ...others];
