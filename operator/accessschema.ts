import * as z from 'zod';
import { dataKey, hostName, objectName, shortName } from './podschema.ts';
import { sessionDefaults } from './sessiondefaults.ts';

/** Who may come in, and by which way. */

export const accessSchema = z
  .strictObject({
    host: hostName(
      'On a cluster: the host name at which students connect, over TLS, such as exam.example.edu. It implies a route to the gateways, the Secret of its certificate, and an allowed origin. Left out: a Service within the cluster.',
    ).optional(),
    tlsSecret: objectName(
      "On a cluster: the Secret with the host's certificate, for the Ingress. Default: the session's name with -tls.",
    ).optional(),
    ingressClass: objectName("On a cluster: the class of the Ingress. Left out: the cluster's default.").optional(),
    gateway: z
      .strictObject({
        name: objectName('The Gateway.'),
        namespace: shortName("Its namespace. Default: the session's.").optional(),
        section: objectName('The listener of the Gateway. Left out: every one that fits the host.').optional(),
      })
      .optional()
      .describe(
        'On a cluster: a Gateway of the Gateway API, which holds the certificate. An HTTPRoute is attached to it, in place of an Ingress.',
      ),
    origins: z
      .array(
        z
          .string()
          .regex(/^(\*|https?:\/\/[!-.0-~]+)$/)
          .max(300)
          .describe('One origin, without a path.'),
      )
      .max(64)
      .default([])
      .describe(
        'Origins of pages that may connect, such as https://exam.example.edu; "*" allows all. Pages of the gateway\'s own host always may.',
      ),
  })
  .prefault({})
  .describe('How students reach the gateways.');

export const authSchema = z
  .strictObject({
    secretRef: z
      .strictObject({
        name: objectName('The Secret.'),
        key: dataKey
          .default(sessionDefaults.auth.secretRef.key)
          .describe('The key in it, which holds at least 32 random bytes as base64url text.'),
      })
      .optional()
      .describe(
        'On a cluster: a Secret with the key that your tokens are signed with (HS256). Left out: a key is made for the session.',
      ),
    jwksUrl: z
      .string()
      .regex(/^https?:\/\/[!-~]+$/)
      .max(2_048)
      .optional()
      .describe(
        'Where the public keys of your identity provider are fetched. Left out: a signing key is made for the session.',
      ),
    issuer: z
      .string()
      .min(1)
      .max(512)
      .optional()
      .describe('The `iss` that tokens must carry. Left out: not looked at.'),
    audience: z
      .string()
      .min(1)
      .max(512)
      .optional()
      .describe("The `aud` that tokens must carry. Default: the session's name."),
  })
  .prefault({})
  .describe('Whose tokens are believed.');

export const rosterSchema = z
  .strictObject({
    file: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}\.csv$/)
      .optional()
      .describe(
        'On one machine: a CSV file beside the session file, one student a line: student, extra minutes. `run -f` copies it into the data folder with the session.',
      ),
    configMap: z
      .strictObject({
        name: objectName('The ConfigMap.'),
        key: dataKey.default(sessionDefaults.roster.configMap.key).describe('The key in it, which holds the CSV.'),
      })
      .optional()
      .describe('On a cluster: a ConfigMap with the CSV.'),
  })
  .optional()
  .describe('The students that are expected, with extra minutes after closesAt for those who have them.');
