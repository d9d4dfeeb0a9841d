import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';

export interface ImageConfig {
  /** `repository:tag`. */
  readonly tag: string;
  /** Numeric, of the user and of its group. */
  readonly user: number;
  readonly env: Readonly<Record<string, string>>;
  readonly workingDir: string;
  readonly command: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
}

/**
 * Packs a folder as an image of one layer, in the archive format of `docker save` (version 1.2 of its image
 * specification), which containerd, Docker and podman import. Equal folders give equal bytes: times and owners are set.
 */
export async function writeArchive(rootfs: string, config: ImageConfig, file: string): Promise<void> {
  const work = mkdtempSync(`${file}-`);
  try {
    const layer = join(work, 'layer.tar');
    tar(rootfs, layer, ['.']);
    const description = JSON.stringify(describe(config, await sha256(layer)));
    const configFile = `${createHash('sha256').update(description).digest('hex')}.json`;
    writeFileSync(join(work, configFile), description);
    const manifest = [{ Config: configFile, RepoTags: [config.tag], Layers: ['layer.tar'] }];
    writeFileSync(join(work, 'manifest.json'), JSON.stringify(manifest));
    const whole = join(work, 'image.tar');
    tar(work, whole, ['manifest.json', configFile, 'layer.tar']);
    renameSync(whole, file);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function describe({ user, env, workingDir, command, labels }: ImageConfig, layer: string) {
  return {
    architecture: 'amd64',
    os: 'linux',
    config: {
      User: `${user}:${user}`,
      Env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
      WorkingDir: workingDir,
      Cmd: command,
      Labels: labels,
    },
    rootfs: { type: 'layers', diff_ids: [`sha256:${layer}`] },
  };
}

function tar(folder: string, file: string, names: readonly string[]): void {
  const same = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner', '--format=gnu'];
  execFileSync('tar', [...same, '-C', folder, '-cf', file, ...names]);
}

async function sha256(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}
