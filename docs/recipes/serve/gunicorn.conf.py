"""What gunicorn reads where it is started: a master that loads the app, and then forks workers."""

wsgi_app = "app:create_app()"
worker_class = "uvicorn_worker.UvicornWorker"
workers = 2  # one for each core: after a fork, skood computes with one thread of torch's
preload_app = True
# Longer than clients keep a connection that they do not use: one that is closed here just as the
# next request is sent on it would be an error to the client. After the usual 2 s that happens.
keepalive = 75
control_socket_disable = True  # two services of one user would share it
