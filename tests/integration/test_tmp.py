import time
def test_a(workspace, call):
    for s,c in (("train_net.py","step1"),("train_net.py","step2"),("search_net.py","step3"),("train_net.py","step4")):
        t=time.time()
        st,out=call(s,c)
        print(s,c,st,time.time()-t); print(out[-3000:])
