# A small image that serves on port 8080, as a user without rights, with SQLite in the volume /data:
#   docker run -p 8080:8080 -v profiles:/data profile-gateway
# On PostgreSQL instead: -e GATEWAY_STORE=postgresql://user:password@host/name

FROM python:3.11-slim AS build
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_CONSTRAINT=/src/constraints.txt
COPY . .
RUN pip wheel --no-deps --wheel-dir /wheels . \
    && python -m venv /opt/gateway \
    && /opt/gateway/bin/pip install "$(echo /wheels/*.whl)[all]" \
    && /opt/gateway/bin/python -m pip uninstall --yes pip setuptools

FROM python:3.11-slim
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin gateway \
    && install --directory --owner gateway --group gateway /data
COPY --from=build /opt/gateway /opt/gateway
ENV PATH=/opt/gateway/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    GATEWAY_HOST=0.0.0.0 \
    GATEWAY_STORE=sqlite:////data/gateway.db
USER gateway
WORKDIR /data
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["python", "-c", "\
import os, urllib.request as r; \
r.urlopen('http://127.0.0.1:' + os.environ.get('GATEWAY_PORT', '8080') + '/healthz', timeout=2)"]
ENTRYPOINT ["profile-gateway"]
CMD ["serve"]
