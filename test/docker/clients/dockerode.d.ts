// What of dockerode the test of it uses: the package brings no types.
declare module "dockerode" {
  class Docker {
    constructor(options: { readonly socketPath: string });
    ping(): Promise<Buffer>;
    version(): Promise<{ readonly ApiVersion: string }>;
    info(): Promise<{ readonly OSType: string }>;
    createVolume(options?: {
      readonly Name?: string;
      readonly Driver?: string;
      readonly DriverOpts?: Readonly<Record<string, string>>;
      readonly Labels?: Readonly<Record<string, string>>;
    }): Promise<Docker.Volume>;
    getVolume(name: string): Docker.Volume;
    listVolumes(options?: { readonly filters?: Docker.Filters }): Promise<{
      readonly Volumes: readonly Docker.VolumeRecord[];
      readonly Warnings: readonly string[] | null;
    }>;
    pruneVolumes(options?: { readonly filters?: Docker.Filters }): Promise<{
      readonly VolumesDeleted: readonly string[];
      readonly SpaceReclaimed: number;
    }>;
    df(): Promise<{ readonly Volumes: readonly Docker.VolumeUsage[] }>;
    getEvents(options: { readonly since: number; readonly filters: Docker.Filters }): Promise<
      NodeJS.ReadableStream & {
        destroy(): void;
      }
    >;
  }

  namespace Docker {
    type Filters = Readonly<Record<string, readonly string[] | Readonly<Record<string, boolean>>>>;

    interface VolumeRecord {
      readonly Name: string;
      readonly Mountpoint: string;
      readonly Labels: Readonly<Record<string, string>> | null;
      readonly Options: Readonly<Record<string, string>> | null;
    }

    interface VolumeUsage extends VolumeRecord {
      readonly UsageData: { readonly Size: number; readonly RefCount: number };
    }

    interface Volume {
      readonly name: string;
      inspect(): Promise<VolumeRecord>;
      remove(options?: { readonly force?: boolean }): Promise<void>;
    }

    interface Refusal extends Error {
      readonly statusCode: number;
      readonly json: { readonly message: string };
    }
  }

  export = Docker;
}
