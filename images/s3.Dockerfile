# versitygw, an S3 server over a directory, for clusters that reach no registry. The context is a root file system with the program.
FROM scratch
COPY . /
ENV PATH=/usr/sbin:/usr/bin:/sbin:/bin
USER 10001:10001
EXPOSE 7070
CMD ["versitygw"]
