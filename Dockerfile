# The command-line program: docker build -t scgpt . && docker run --rm -v "$PWD:/data" scgpt embed cells.h5ad …
FROM rust:1.95-slim-bookworm AS build
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends build-essential && rm -rf /var/lib/apt/lists/*
WORKDIR /scgpt
COPY . .
RUN cargo build --profile dist --locked -p scgpt-cli

FROM debian:bookworm-slim
# Certificates of web servers, for cells and models at https://.
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*
COPY --from=build /scgpt/target/dist/scgpt /usr/local/bin/scgpt
ENV SCGPT_CACHE=/data/.scgpt-cache
WORKDIR /data
ENTRYPOINT ["scgpt"]
