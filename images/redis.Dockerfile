# Redis of the machine it is built on, for clusters that reach no registry. The context is a root file system with redis-server and its libraries.
FROM scratch
COPY . /
ENV PATH=/usr/sbin:/usr/bin:/sbin:/bin
USER 10001:10001
EXPOSE 6379
CMD ["redis-server"]
