import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestApiServer } from '#test/support/apiserver.ts';
import { tmpFolder } from '#test/support/tmp.ts';

/** A schema of OpenAPI 3, as the API server publishes it. */
interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: unknown;
  readonly 'x-kubernetes-group-version-kind'?: readonly { group: string; version: string; kind: string }[];
  readonly 'x-kubernetes-preserve-unknown-fields'?: boolean;
}

/**
 * Writes a JSON schema for each kind that an API server has, and resolves with what kubeconform takes as
 * `-schema-location`. Fields that a schema does not know are refused.
 */
export async function writeSchemas(cluster: TestApiServer): Promise<string> {
  const folder = tmpFolder('schemas');
  const { paths } = (await cluster.call('GET', '/openapi/v3')).body as { paths: Record<string, unknown> };
  const versions = Object.keys(paths).filter((path) => /^api(s\/[^/]+)?\/v[^/]+$/.test(path));
  for (const path of versions) {
    const { components } = (await cluster.call('GET', `/openapi/v3/${path}`)).body as {
      components?: { schemas: Record<string, Schema> };
    };
    const schemas = Object.entries(components?.schemas ?? {});
    const closed = Object.fromEntries(schemas.map(([name, schema]) => [name, close(schema)]));
    for (const [name, schema] of schemas)
      for (const { group, version, kind } of schema['x-kubernetes-group-version-kind'] ?? []) {
        if (path !== (group === '' ? `api/${version}` : `apis/${group}/${version}`)) continue;
        const whole = { $ref: `#/components/schemas/${name}`, components: { schemas: closed } };
        writeFileSync(join(folder, fileOf(group, version, kind)), JSON.stringify(whole));
      }
  }
  return join(folder, '{{.ResourceKind}}{{.KindSuffix}}.json');
}

/** As kubeconform names them: `deployment-apps-v1.json`. */
function fileOf(group: string, version: string, kind: string): string {
  const parts = group === '' ? [kind, version] : [kind, group.split('.')[0], version];
  return `${parts.join('-').toLowerCase()}.json`;
}

function close(schema: Schema): Schema {
  if (schema.properties === undefined) return schema;
  const properties = Object.fromEntries(Object.entries(schema.properties).map(([name, one]) => [name, close(one)]));
  const isOpen = 'additionalProperties' in schema || schema['x-kubernetes-preserve-unknown-fields'];
  return { ...schema, properties, ...(isOpen ? {} : { additionalProperties: false }) };
}
