# syntax=docker/dockerfile:1
# The image: Node, the packages of production, the sources as they are. Non-root, and nothing is written but what the
# configuration names (below /var/lib/gatehouse where it names nothing), so that the root file system may be read-only.
ARG NODE_IMAGE=node:24.21.0-alpine

FROM ${NODE_IMAGE} AS packages
WORKDIR /opt/gatehouse
COPY package.json package-lock.json ./
# The optional packages are Node itself, which the base image has.
RUN npm ci --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund && npm cache clean --force

FROM ${NODE_IMAGE}
ENV NODE_ENV=production \
    NODE_COMPILE_CACHE=/opt/gatehouse/.cache \
    GATEHOUSE__LISTEN__HOST=0.0.0.0
WORKDIR /opt/gatehouse
COPY --from=packages /opt/gatehouse/node_modules node_modules
COPY package.json LICENSE gatehouse ./
COPY src src
COPY adapters adapters
COPY views views
COPY public public
COPY messages messages
# Compiled once, for every start; and the place of the data, which belongs to the user that the container runs as.
RUN ./gatehouse --help >/dev/null && mkdir -p /var/lib/gatehouse && chown 10001:10001 /var/lib/gatehouse

WORKDIR /var/lib/gatehouse
VOLUME ["/var/lib/gatehouse"]
USER 10001:10001
EXPOSE 3000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.GATEHOUSE__LISTEN__PORT || 3000}/readyz`).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["/opt/gatehouse/gatehouse"]
CMD ["serve"]
