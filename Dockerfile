# The proxy alone, without the demo. docker-compose.yml shows how to give it a config.

FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
# Cargo wants the sources of all that the manifest names, tests too, to read the manifest.
COPY Cargo.toml Cargo.lock ./
COPY src src
COPY bench bench
COPY tests tests
RUN cargo build --release --locked --package fishplate --bin fishplate --features msk-iam

# glibc and nothing else: no shell, and the user 65532.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /src/target/release/fishplate /usr/local/bin/fishplate
USER nonroot
EXPOSE 9092 9644
ENTRYPOINT ["/usr/local/bin/fishplate"]
CMD ["run", "-c", "/etc/fishplate/config.yaml"]
