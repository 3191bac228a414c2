import os
import time
from pathlib import Path
from urllib.parse import unquote

import gradio as gr


def greet(request: gr.Request):
    name = unquote(request.headers.get("x-user-name", ""))
    account = request.headers.get("x-user-hf-username")
    return f"Signed in as **{name}**" + (f" (`{account}` on Hugging Face)" if account else "")


def count(steps):
    for step in range(1, int(steps) + 1):
        time.sleep(0.2)
        yield f"step {step} of {int(steps)}"


def size(path):
    return f"{Path(path).stat().st_size} bytes"


with gr.Blocks(title="Gradio", analytics_enabled=False) as demo:
    who = gr.Markdown(elem_id="who")
    demo.load(greet, outputs=who)
    with gr.Row():
        steps = gr.Number(5, label="Steps", elem_id="steps")
        progress = gr.Textbox(label="Progress", elem_id="progress")
    gr.Button("Count", elem_id="count").click(count, steps, progress)
    with gr.Row():
        upload = gr.File(label="A file", elem_id="upload")
        uploaded = gr.Textbox(label="Its size", elem_id="size")
    upload.upload(size, upload, uploaded)
    gr.HTML('<a href="/.logto/sign-out">Sign out</a>')

demo.launch(server_name="127.0.0.1", server_port=int(os.environ["PORT"]))
