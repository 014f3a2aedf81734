"""An nginx that a test starts, with a file of deploy/nginx."""

# What Debian's own nginx.conf has around the files of conf.d, reduced to what a test needs.
AROUND = """
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/lentigo.conf;
}}
"""
