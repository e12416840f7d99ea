# Three stages: npm packages, compiler, and an image with the binary and the libraries it needs.

FROM node:20-bookworm-slim AS packages
WORKDIR /packages
COPY openapi/package.json openapi/package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund

FROM debian:bookworm-slim AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        gcc libc6-dev make \
        libhiredis-dev libjansson-dev libmicrohttpd-dev libssl-dev liburing-dev libwslay-dev \
        libyajl-dev zlib1g-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY Makefile ./
COPY app app
COPY core core
COPY handlers handlers
COPY openapi openapi
COPY --from=packages /packages/node_modules/swagger-ui-dist /swagger-ui-dist
RUN make all SWAGGER_DIST=/swagger-ui-dist && strip build/chat-api

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        libhiredis0.14 libjansson4 libmicrohttpd12 libssl3 liburing2 libwslay1 libyajl2 zlib1g \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin chat-api
COPY --from=build /src/build/chat-api /usr/local/bin/chat-api
USER 10001:10001
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s --retries=3 \
    CMD ["/usr/local/bin/chat-api", "--healthcheck"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/chat-api"]
