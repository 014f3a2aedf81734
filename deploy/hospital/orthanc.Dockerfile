# Orthanc with DICOMweb, from Debian's packages, for `make hospital`. The context is this folder:
#
#     docker build --file orthanc.Dockerfile --tag lentigo-orthanc .
ARG BASE_IMAGE=python:3.11-slim-bookworm


FROM ${BASE_IMAGE}
RUN apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
        orthanc orthanc-dicomweb \
    && rm -rf /var/lib/apt/lists/* /etc/orthanc/*.json \
    && groupadd --gid 10001 lentigo \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent \
        --shell /usr/sbin/nologin lentigo \
    && install --directory --owner 10001 --group 10001 --mode 0700 /archive
COPY orthanc.json /etc/orthanc/orthanc.json
USER 10001:10001
EXPOSE 4242 8042
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/sbin/Orthanc", "/etc/orthanc/orthanc.json"]
