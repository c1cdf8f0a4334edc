// What other tools call the kinds of storage that our drivers have other names for.

const drivers: Readonly<Record<string, readonly string[]>> = {
  smb: ["cifs", "samba", "smb2", "smb3", "smbfs", "windows"],
  nfs: ["nfs3", "nfs4", "nfsv3", "nfsv4"],
  sshfs: ["ssh", "sftp", "scp"],
  rclone: [
    ...["azure", "azureblob", "b2", "backblaze", "dropbox", "ftp", "gcs", "google", "onedrive"],
    ...["swift"],
  ],
  "rclone with -o remote=s3:BUCKET": ["s3", "s3fs", "aws", "minio", "r2", "wasabi"],
  "rclone with -o remote=webdav:": ["webdav", "dav", "davfs", "davfs2", "nextcloud", "owncloud"],
  "rclone with -o remote=drive:": ["drive", "gdrive"],
  "local with -o type=tmpfs -o device=tmpfs": ["tmpfs", "ram", "memory"],
  "local with -o type=none -o o=bind -o device=DIR": ["bind", "dir", "directory", "path"],
};

const meant = new Map(
  Object.entries(drivers).flatMap(([ours, others]) => others.map((other) => [other, ours])),
);

/**
 * What of `known` was meant by a driver's name, as `smb` or `rclone with -o remote=s3:BUCKET`;
 * undefined: nobody calls one so.
 */
export function driverCalled(typed: string, known: readonly string[]): string | undefined {
  const found = meant.get(typed.toLowerCase());
  return found !== undefined && known.includes(found.split(" ")[0] ?? "") ? found : undefined;
}
