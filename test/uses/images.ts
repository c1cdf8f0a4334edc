// The images of the uses: PostgreSQL and nginx, of Debian's packages.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { postgresFolder } from "../../tools/debian-packages.ts";
import { findProgram } from "../../tools/find-program.ts";
import type { ProgramImage } from "../support/program-image.ts";

const postgresPrograms = [
  ...["initdb", "pg_amcheck", "pg_checksums", "pg_controldata", "pg_isready", "pgbench", "psql"],
];

/** PostgreSQL and its tools, in /usr/lib/postgresql/VERSION/bin. */
export function postgresImage(): ProgramImage {
  const folder = postgresFolder();
  if (folder === undefined) throw new Error("no PostgreSQL (Debian package postgresql)");
  const libraries = join(folder, "lib");
  const version = folder.split("/").at(-1) ?? "";
  return {
    name: "holdfast-postgres:1",
    programs: ["postgres", ...postgresPrograms].map((name) => join(folder, "bin", name)),
    paths: [
      // Without its compiler: LLVM alone is larger than all the rest.
      ...readdirSync(libraries)
        .filter((name) => name.endsWith(".so") && !name.startsWith("llvm"))
        .map((name) => join(libraries, name)),
      join("/usr/share/postgresql", version),
      "/usr/share/zoneinfo/UTC",
    ],
    // Of root, 0755: that is what copy-up would make of a volume's root, against `owner`.
    rootFolders: [databaseFolder],
    accountName: "postgres",
  };
}

/** Where the container has its volume. */
export const databaseFolder = "/var/lib/postgresql/data";

const webConfiguration = `worker_processes 1;
error_log stderr notice;
pid /tmp/nginx.pid;
daemon off;
events { worker_connections 64; }
http {
  include /etc/nginx/mime.types;
  access_log off;
  client_body_temp_path /tmp/body;
  proxy_temp_path /tmp/proxy;
  fastcgi_temp_path /tmp/fastcgi;
  uwsgi_temp_path /tmp/uwsgi;
  scgi_temp_path /tmp/scgi;
  include /tmp/listen.conf;
}
`;

/** nginx that serves /site on the Unix socket that /tmp/listen.conf names. */
export function nginxImage(): ProgramImage {
  const nginx = findProgram("nginx");
  if (nginx === undefined) throw new Error("no nginx (Debian package nginx-light)");
  return {
    name: "holdfast-nginx:1",
    programs: [nginx],
    paths: ["/etc/nginx/mime.types"],
    files: { "/etc/nginx/nginx.conf": webConfiguration },
    // nginx looks for its log before it has read where to write.
    ownFolders: ["/var/log/nginx", "/var/lib/nginx"],
    accountName: "web",
  };
}
