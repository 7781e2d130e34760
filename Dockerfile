# ringless as one small image. The build keeps its downloads and its compiled dependencies in BuildKit's cache, so a change
# of the source compiles only this crate again.

FROM rust:1.95-bookworm AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends libssl-dev pkg-config \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY Cargo.toml Cargo.lock build.rs ./
COPY .cargo .cargo
COPY benches benches
COPY proto proto
COPY migrations migrations
COPY assets assets
COPY tables tables
COPY src src
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin ringless \
    && cp target/release/ringless /usr/local/bin/ringless

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates libssl3 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/ringless --create-home --shell /usr/sbin/nologin ringless
COPY --from=build /usr/local/bin/ringless /usr/local/bin/ringless
USER ringless
WORKDIR /var/lib/ringless
ENV RINGLESS_DATA_DIR=/var/lib/ringless/data
# A volume that is mounted here takes over this folder's owner.
RUN mkdir data
# gRPC, public HTTP, admin HTTP. All three listen on loopback unless told otherwise.
EXPOSE 50051 8080 9090
# Asks /readyz with nothing but bash, which the image has.
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=3 \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/9090 && printf 'GET /readyz HTTP/1.0\\r\\n\\r\\n' >&3 && head -n 1 <&3 | grep -q ' 200'"]
ENTRYPOINT ["ringless"]
CMD ["serve"]
