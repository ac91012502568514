# A Node base image for machines that reach no registry. The context is a root file system with node, sh and their libraries.
FROM scratch
COPY . /
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
