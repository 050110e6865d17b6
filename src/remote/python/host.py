"""Runs functions of libraries, one at a time, for the server at the other end of a socket.

A frame is four bytes of length, big-endian, and that many bytes of JSON. The first frame from the
server holds the bounds; then come orders, each answered by exactly one of "done", "error",
"missing" and "arguments". While an order is carried out, "print" goes to the server, and "find"
asks it for a library by its module name, which it answers. Orders are counted from 1 on both sides,
and a frame says in "n" which order it belongs to: threads may outlive theirs. When the server is
gone, so is this.
"""

import base64
import datetime
import importlib
import importlib.abc
import importlib.machinery
import inspect
import io
import json
import math
import os
import queue
import resource
import struct
import sys
import threading
import time
import _thread

BASE = 'kompira.library'
ROOT = 'kompira.library.objects'
PACKAGES = ('kompira', BASE, ROOT)
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
MICROSECOND = datetime.timedelta(microseconds=1)
DEPTH_MAX = 50
TEXT_MAX = 4000

# What a confined library may import besides others of its kind.
ALLOWED = (
    '__future__', 'abc', 'base64', 'binascii', 'bisect', 'calendar', 'cmath', 'collections',
    'collections.abc', 'colorsys', 'contextlib', 'copy', 'csv', 'dataclasses', 'datetime', 'decimal',
    'difflib', 'enum', 'fractions', 'functools', 'hashlib', 'heapq', 'hmac', 'html', 'html.entities',
    'html.parser', 'ipaddress', 'itertools', 'json', 'keyword', 'math', 'numbers', 'operator',
    'pprint', 'random', 're', 'secrets', 'shlex', 'statistics', 'string', 'struct', 'textwrap',
    'time', 'types', 'typing', 'unicodedata', 'urllib.parse', 'zlib',
)
# What the allowed ones import when they are first used.
LATER = ('_strptime', 'stringprep')
CODES = (
    'utf-8', 'utf-8-sig', 'utf-16', 'utf-32', 'ascii', 'latin-1', 'cp932', 'cp1252', 'shift_jis',
    'euc_jp', 'iso2022_jp', 'idna', 'punycode', 'unicode_escape', 'raw_unicode_escape',
)
# What stays of `os` in a confined process.
KEPT = ('_exit', 'fsencode', 'fsdecode', 'fspath', 'getpid', 'read', 'urandom', 'write')


class Wire:
    """The socket. A thread of its own reads, so that the end of the server is seen at any time."""

    def __init__(self):
        self.source, self.target = os.dup(0), os.dup(1)
        nothing = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(nothing, number)
        os.close(nothing)
        self.lock = threading.Lock()
        self.inbox = queue.SimpleQueue()
        self.asked, self.count = {}, 0
        self.limit = 1 << 20
        threading.Thread(target=self.listen, daemon=True).start()

    def take(self, count):
        data = bytearray()
        while len(data) < count:
            piece = os.read(self.source, min(count - len(data), 1 << 20))
            if not piece:
                self.end(0)
            data += piece
        return bytes(data)

    def listen(self):
        try:
            while True:
                (length,) = struct.unpack('>I', self.take(4))
                frame = json.loads(self.take(length))
                box = self.inbox
                if 'found' in frame:
                    box = self.asked.pop(frame['id'], None)
                if box is not None:
                    box.put(frame)
        finally:
            self.end(1)

    def end(self, status):
        """Ends this process, and with it what libraries have started in its group."""
        try:
            # A confined process lacks this, and has started nothing.
            os.killpg(os.getpid(), 9)
        finally:
            os._exit(status)

    def get(self):
        return self.inbox.get()

    def ask(self, frame):
        """The answer to a question; several threads may ask."""
        box = queue.SimpleQueue()
        with self.lock:
            self.count += 1
            number = self.count
        self.asked[number] = box
        frame['id'] = number
        self.put(frame)
        return box.get()

    def put(self, frame):
        data = json.dumps(frame, ensure_ascii=False, allow_nan=False).encode('utf-8')
        if len(data) > self.limit:
            raise ValueError('the value is too large: at most %d bytes' % self.limit)
        data = memoryview(struct.pack('>I', len(data)) + data)
        with self.lock:
            while data:
                data = data[os.write(self.target, data):]


class Order:
    """One order: its number, and what it has printed."""

    def __init__(self, number, left):
        self.number, self.left, self.pending = number, left, []


class Orders:
    """Which order is carried out, and which one each thread belongs to."""

    def __init__(self, limit):
        self.limit = limit
        self.current = Order(0, limit)
        self.own = threading.local()
        for module in (threading, _thread):
            for name in ('start_new_thread', '_start_new_thread', 'start_new',
                         'start_joinable_thread', '_start_joinable_thread'):
                if hasattr(module, name):
                    setattr(module, name, self.inherited(getattr(module, name)))

    def begin(self):
        self.current = Order(self.current.number + 1, self.limit)

    def mine(self):
        """The order that this thread was started for; `None` when it is over."""
        mine = getattr(self.own, 'order', None) or self.current
        return mine if mine is self.current else None

    def inherited(self, start):
        """A thread belongs to the order of the one that starts it."""
        def begin(function, *rest, **named):
            order = getattr(self.own, 'order', None) or self.current

            def run(*given, **also):
                self.own.order = order
                return function(*given, **also)
            return start(run, *rest, **named)
        return begin


class Console(io.TextIOBase):
    """Standard output and error: what is printed goes to the process that called. What a thread
    prints when its call is over goes to nobody."""

    def __init__(self, wire, orders):
        self.wire, self.orders = wire, orders

    def writable(self):
        return True

    def write(self, text):
        if not isinstance(text, str):
            raise TypeError('a str is written, not %s' % type(text).__name__)
        order = self.orders.mine()
        if order is None:
            return len(text)
        order.left -= len(text)
        if order.left < 0:
            limit = self.orders.limit
            raise RuntimeError('too much is printed: at most %d characters in a call' % limit)
        order.pending.append(text)
        if '\n' in text:
            self.flush()
        return len(text)

    def flush(self):
        order = self.orders.mine()
        if order is None:
            return
        text, order.pending = ''.join(order.pending), []
        if text:
            text = text.encode('utf-8', 'replace').decode('utf-8')
            self.wire.put({'print': text, 'n': order.number})


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds libraries by asking the server."""

    def __init__(self, wire, orders):
        self.wire, self.orders = wire, orders

    def find_spec(self, name, path=None, target=None):
        if name in PACKAGES:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        if not name.startswith(BASE + '.'):
            return None
        order = self.orders.mine()
        if order is None:
            raise ImportError('the call that this thread belongs to is over')
        found = self.wire.ask({'find': name, 'n': order.number}).get('found')
        if found is None:
            return None
        if found['source'] is None:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        spec = importlib.machinery.ModuleSpec(name, self, origin=found['path'])
        spec.loader_state = found['source']
        return spec

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        spec = module.__spec__
        if spec.loader_state is None:
            return
        code = compile(spec.loader_state, spec.origin, 'exec', dont_inherit=True)
        module.__file__ = spec.origin
        module.__dict__['__builtins__'] = BUILTINS
        exec(code, module.__dict__)


BUILTINS = __builtins__ if isinstance(__builtins__, dict) else vars(__builtins__)


def forget():
    """Lets go of every library; what is needed is loaded again."""
    # A thread that is left over may import meanwhile: each list is taken at once.
    for name in list(sys.modules):
        if isinstance(name, str) and str.startswith(name, BASE + '.') and name not in PACKAGES:
            sys.modules.pop(name, None)
    for package in (BASE, ROOT):
        held = vars(sys.modules[package])
        for name, value in list(held.items()):
            if isinstance(value, type(sys)) and package + '.' + name not in PACKAGES:
                held.pop(name, None)


def forget_surely():
    """What a thread that is left over does to it must not end the process."""
    for _ in range(10):
        try:
            return forget()
        except BaseException:
            time.sleep(0)
    # Nothing is run that should be forgotten.
    os._exit(1)


def is_function(module, value):
    own = getattr(value, '__module__', None) == module.__name__
    return own and callable(value) and not isinstance(value, type)


def plain(value, depth=0):
    """A value as the server reads it."""
    if depth > DEPTH_MAX:
        raise ValueError('the value is nested too deeply')
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        value = int(value)
        if -(1 << 63) <= value < 1 << 63:
            return value
        return {'$': 'int', 'v': str(value)}
    if isinstance(value, float):
        value = float(value)
        return value if math.isfinite(value) else {'$': 'float', 'v': repr(value)}
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {'$': 'bytes', 'v': base64.b64encode(value).decode('ascii')}
    if isinstance(value, (list, tuple)):
        return [plain(item, depth + 1) for item in value]
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise TypeError('a key of type %s cannot be returned' % type(key).__name__)
        found = {key: plain(item, depth + 1) for key, item in value.items()}
        return {'$': 'dict', 'v': found} if '$' in found else found
    if isinstance(value, datetime.datetime):
        if value.tzinfo is None:
            return {'$': 'naive', 'v': value.isoformat()}
        return {'$': 'datetime', 'v': (value - EPOCH) // MICROSECOND}
    if isinstance(value, datetime.date):
        return {'$': 'date', 'v': value.isoformat()}
    if isinstance(value, datetime.time) and value.tzinfo is None:
        return {'$': 'time', 'v': value.isoformat()}
    if isinstance(value, datetime.timedelta):
        return {'$': 'timedelta', 'v': value // MICROSECOND}
    raise TypeError('a value of type %s cannot be returned' % type(value).__name__)


def value_of(plain):
    """The value that the server wrote."""
    if isinstance(plain, list):
        return [value_of(item) for item in plain]
    if not isinstance(plain, dict):
        return plain
    kind = plain.get('$')
    if kind is None:
        return {key: value_of(item) for key, item in plain.items()}
    value = plain['v']
    if kind == 'dict':
        return {key: value_of(item) for key, item in value.items()}
    if kind == 'int':
        return int(value)
    if kind == 'float':
        return float(value)
    if kind == 'bytes':
        return base64.b64decode(value)
    if kind == 'datetime':
        return EPOCH + value * MICROSECOND
    if kind == 'date':
        return datetime.date.fromisoformat(value)
    if kind == 'time':
        return datetime.time.fromisoformat(value)
    return value * MICROSECOND


def told(error):
    """An exception as one line: what, why, and where in the libraries it was last."""
    try:
        text = str(error)
    except BaseException:
        text = ''
    name = type(error).__name__
    text = '%s: %s' % (name, text) if text else name
    place = ''
    step = error.__traceback__
    while step is not None:
        code = step.tb_frame.f_code
        is_object = code.co_filename.startswith('/') and not os.path.splitext(code.co_filename)[1]
        if is_object or code.co_filename.startswith(BASE + '.'):
            place = ' (%s, line %d, in %s)' % (code.co_filename, step.tb_lineno, code.co_name)
        step = step.tb_next
    if not isinstance(error, SyntaxError):
        text += place
    return text[:TEXT_MAX].encode('utf-8', 'replace').decode('utf-8')


def perform(order):
    module = importlib.import_module(order['module'])
    if order['do'] == 'load':
        document = inspect.getdoc(module)
        return {'done': {'document': document if isinstance(document, str) else None}}
    name = order['function']
    function = vars(module).get(name)
    if name.startswith('_') or not is_function(module, function):
        return {'missing': True}
    positional = value_of(order['positional'])
    named = value_of(order['named'])
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        signature = None
    if signature is not None:
        try:
            signature.bind(*positional, **named)
        except TypeError as error:
            return {'arguments': '%s(): %s' % (name, error)}
    return {'done': plain(function(*positional, **named))}


def confine(wire, finder):
    """Takes away what reaches out of this process; nothing gives it back."""
    for name in ALLOWED + LATER:
        importlib.import_module(name)
    for code in CODES:
        'a'.encode(code).decode(code)
    # Functions in C import in the name of whoever calls them.
    allowed = frozenset(ALLOWED + LATER)
    whole = BUILTINS['__import__']

    def guarded(name, globals=None, locals=None, fromlist=(), level=0):
        # Relative ones lead to libraries, nowhere else.
        if level == 0 and name not in allowed and name != 'urllib':
            if name not in PACKAGES and not name.startswith(ROOT + '.'):
                raise ImportError('a safe library cannot import %s' % name)
        return whole(name, globals, locals, fromlist, level)

    def hook(event, arguments):
        # The set is part of the code, out of reach of who can change every module. What is in it
        # is told to a hook and does no harm.
        if event not in {
            'compile', 'exec', 'import', 'object.__getattr__', 'object.__setattr__',
            'object.__delattr__', 'builtins.id', 'sys._getframe', 'sys._getframemodulename',
            'time.sleep', 'function.__new__', 'array.__new__', 'sys.unraisablehook',
            'sys.excepthook', 'cpython.PyInterpreterState_Clear', 'cpython._PySys_ClearAuditHooks',
        }:
            raise refusal('a safe library cannot do this: %s' % event)

    refusal = PermissionError
    # Not everything is told to a hook: what the system offers goes, but for what this host and
    # the modules above use.
    for module in (os, sys.modules['posix']):
        for name, value in list(vars(module).items()):
            if name not in KEPT and callable(value) and not isinstance(value, type):
                delattr(module, name)

    sys.meta_path[:] = [finder]
    sys.path[:] = []
    sys.path_hooks[:] = []
    sys.path_importer_cache.clear()
    few = dict(BUILTINS)
    for name in ('open', 'input', 'breakpoint', 'exit', 'quit', 'help', 'copyright', 'credits', 'license'):
        few.pop(name, None)
    few['__import__'] = guarded
    for kind in (resource.RLIMIT_FSIZE, resource.RLIMIT_NPROC, resource.RLIMIT_NOFILE):
        resource.setrlimit(kind, (0, 0))
    sys.addaudithook(hook)
    return few


def bound(kind, wanted):
    hard = resource.getrlimit(kind)[1]
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    resource.setrlimit(kind, (wanted, wanted))


def main():
    global BUILTINS
    wire = Wire()
    bounds = wire.get()
    wire.limit = bounds['message']
    orders = Orders(bounds['printed'])
    finder = Finder(wire, orders)
    sys.meta_path.insert(0, finder)
    sys.dont_write_bytecode = True
    console = Console(wire, orders)
    sys.stdout = sys.stderr = sys.__stdout__ = sys.__stderr__ = console
    bound(resource.RLIMIT_CORE, 0)
    bound(resource.RLIMIT_CPU, bounds['cpu'])
    bound(resource.RLIMIT_AS, bounds['memory'])
    bound(resource.RLIMIT_FSIZE, bounds['file'])
    if bounds['processes'] is not None:
        bound(resource.RLIMIT_NPROC, bounds['processes'])
    importlib.import_module(ROOT)
    if bounds['confined']:
        BUILTINS = confine(wire, finder)
    wire.put({'done': sys.version.split()[0], 'n': 0})
    while True:
        order = wire.get()
        if order['do'] == 'forget':
            forget_surely()
            continue
        orders.begin()
        number = orders.current.number
        try:
            answer = perform(order)
            console.flush()
        except BaseException as error:
            answer = {'error': told(error)}
        answer['cpu'], answer['n'] = time.process_time(), number
        try:
            console.flush()
            wire.put(answer)
        except BaseException as error:
            wire.put({'error': told(error), 'cpu': time.process_time(), 'n': number})


main()
