# syntax=docker/dockerfile:1
# shadegrad with Mesa's software Vulkan driver, lavapipe, so that it trains on any machine:
#
#   docker build -t shadegrad .
#   docker run --rm shadegrad train
#
# To keep the runs, mount a folder and be its owner:
#
#   docker run --rm -v "$PWD:/work" --user "$(id -u):$(id -g)" shadegrad train

FROM rust:1-slim-trixie AS build
WORKDIR /src
COPY . .
# The caches outlive the build; what is built has to leave them.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked && cp target/release/shadegrad /usr/local/bin/

FROM debian:trixie-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends libvulkan1 mesa-vulkan-drivers \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home shadegrad \
    # Any user may write here, because --user names one that the image does not know.
    && mkdir --mode=1777 /work /var/cache/shadegrad
COPY --from=build /usr/local/bin/shadegrad /usr/local/bin/
ENV SHADEGRAD_CACHE=/var/cache/shadegrad
USER shadegrad
WORKDIR /work
ENTRYPOINT ["shadegrad"]
CMD ["--help"]
