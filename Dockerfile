# The agent, and what the service `secrets` of docker-compose.yml runs. Versions as in versions.json.
ARG NODE_IMAGE=node:22.20.0-bookworm-slim
ARG MAVEN_IMAGE=maven:3.9.11-eclipse-temurin-21

FROM ${MAVEN_IMAGE} AS jars
COPY connectors/pom.xml /work/pom.xml
RUN mvn -B -q -f /work/pom.xml -P jmx org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
      -DincludeScope=runtime -DoutputDirectory=/jars -Dmdep.stripVersion=true

FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json tsconfig.json tsconfig.build.json ./
# Neither ClickHouse's library nor PostgreSQL: here they are other containers. npm ci refuses a lock file
# that leaves out optional packages of other platforms; npm install takes the same versions from it.
RUN npm ci --omit=optional --ignore-scripts --no-audit --no-fund \
 || npm install --no-save --omit=optional --ignore-scripts --no-audit --no-fund
COPY bin ./bin
COPY cli ./cli
RUN node bin/bootstrap.mjs build && npm prune --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund

FROM ${NODE_IMAGE}
ENV NODE_ENV=production
COPY --from=build /app/node_modules /app/node_modules
COPY --from=build /app/dist /app/dist
COPY --from=jars /jars /app/java-agents
COPY package.json versions.json /app/
COPY sql /app/sql
COPY connectors/pom.xml /app/connectors/pom.xml
COPY connectors/postgres-text/cdc-postgres-text.jar /app/connectors/postgres-text/cdc-postgres-text.jar
COPY connectors/jmx /app/connectors/jmx
# The folder of cdc.yaml.
WORKDIR /stack
USER node
ENTRYPOINT ["node", "/app/dist/main.js"]
CMD ["agent", "--inside"]
